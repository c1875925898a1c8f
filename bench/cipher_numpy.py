#!/usr/bin/env python3
"""LE, ELE, EtC, PE and pixel shuffling in straightforward NumPy: vectorised over the pictures, as the released code is.

usage: cipher_numpy.py VECTORS    VECTORS as cipher_bench exports them. Prints one JSON object: {"name": [seconds, ...], ...}

Each result is compared with Veilnet's first.
"""
import json
import sys
import time

import numpy

REPETITIONS = 5
COLOUR_ORDERS = numpy.array([[0, 1, 2], [1, 0, 2], [2, 1, 0], [0, 2, 1], [2, 0, 1], [1, 2, 0]])
COMPONENT_ORDERS = numpy.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]])


def load(path):
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    types = {"U8": numpy.uint8, "I32": numpy.int32}
    return {name: numpy.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]]).reshape(entry["shape"])
            for name, entry in header.items() if name != "__metadata__"}


def to_blocks(pictures):
    """[n, 32, 32, 3] to [n, 64, 48]"""
    return pictures.reshape(-1, 8, 4, 8, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 64, 48)


def to_pictures(blocks):
    return blocks.reshape(-1, 8, 8, 4, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 32, 32, 3)


def le_blocks(blocks, key):
    """blocks [..., 48]"""
    reverse = key > 48
    nibbles = numpy.concatenate([blocks & 15, blocks >> 4], axis=-1)
    nibbles[..., reverse] = 15 - nibbles[..., reverse]
    nibbles = nibbles[..., key]
    nibbles[..., reverse] = 15 - nibbles[..., reverse]
    return nibbles[..., :48] + 16 * nibbles[..., 48:]


def le(v):
    return to_pictures(le_blocks(to_blocks(v["plain"]), v["le_key"]))


def ele(v):
    blocks = to_blocks(v["plain"])
    scrambled = numpy.empty_like(blocks)
    for b in range(64):
        scrambled[:, b] = le_blocks(blocks[:, b], v["ele_keys"][b])
    return to_pictures(scrambled[:, v["ele_location"]])


def etc(v):
    blocks = to_blocks(v["plain"]).reshape(-1, 64, 4, 4, 3)
    scrambled = numpy.empty_like(blocks)
    for b in range(64):
        block = blocks[:, b]
        if v["etc_rotation"][b] != 3:
            block = numpy.rot90(block, v["etc_rotation"][b] + 1, axes=(1, 2))
        if v["etc_negative"][b]:
            block = 255 - block
        if v["etc_flip"][b] != 2:
            block = numpy.flip(block, 1 + v["etc_flip"][b])
        scrambled[:, b] = block[..., COLOUR_ORDERS[v["etc_colour"][b]]]
    return to_pictures(scrambled[:, v["etc_location"]])


def etc_index(v):
    """EtC as one index and one mask for the whole picture, worked out beforehand: the best that we know in NumPy."""
    return (v["plain"].reshape(-1, 3072)[:, v["etc_source"]] ^ v["etc_mask"]).reshape(v["plain"].shape)


def prepare_etc_index(v):
    """Sends two pictures of which every value's place can be read off through etc()."""
    places = numpy.arange(3072)
    low, high = (places % 48).astype(numpy.uint8), (places // 48).astype(numpy.uint8)
    one = {**v, "etc_negative": numpy.zeros_like(v["etc_negative"])}
    low, high = (etc({**one, "plain": p.reshape(1, 32, 32, 3)}).reshape(-1).astype(int) for p in (low, high))
    v["etc_source"] = high * 48 + low
    v["etc_mask"] = etc({**v, "plain": numpy.zeros((1, 32, 32, 3), numpy.uint8)}).reshape(-1)


def pe(v):
    return numpy.where(v["pe_negate"] == 1, 255 - v["plain"], v["plain"])


def pe_shuffled(v):
    order = COMPONENT_ORDERS[v["pe_shuffle"]][None]
    return numpy.take_along_axis(pe(v), order, axis=-1)


def pixel_shuffle(v):
    return to_pictures(to_blocks(v["plain"])[..., v["pixel_shuffle_key"]])


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    v = load(sys.argv[1])
    prepare_etc_index(v)
    runs = {"le": le, "ele": ele, "etc": etc, "etc_index": etc_index, "pe": pe, "pe_shuffled": pe_shuffled,
            "pixel_shuffle": pixel_shuffle}
    for name, run in runs.items():
        if not numpy.array_equal(run(v), v[name.removesuffix("_index")]):
            sys.exit(f"cipher_numpy: {name} differs from Veilnet")
    seconds = {name: [] for name in runs}
    for _ in range(REPETITIONS):
        for name, run in runs.items():
            begin = time.perf_counter()
            run(v)
            seconds[name].append(time.perf_counter() - begin)
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
