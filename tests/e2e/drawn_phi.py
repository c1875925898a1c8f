"""Phi as one layer with drawn weights: to train a VGG for it would take most of a small experiment's time."""
import json
import random
import struct


def write(path):
    draw = random.Random(1)
    weights = struct.pack("<1728f", *(draw.gauss(0, 0.27) for _ in range(1728)))
    header = json.dumps({"features.0.weight": {"dtype": "F32", "shape": [64, 3, 3, 3], "data_offsets": [0, 6912]},
                         "features.0.bias": {"dtype": "F32", "shape": [64], "data_offsets": [6912, 7168]}}).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + weights + bytes(256))
    return path
