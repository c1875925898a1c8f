"""What `veilnet export` writes, computed by ONNX Runtime, against what the program computes itself.

usage: onnx_test.py VEILNET

Ends with 77, which CTest counts as skipped, where Node or the packages of web/ are missing.
"""
import array
import json
import math
import pathlib
import random
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
WEB = ROOT / "web"
SIDE, COUNT = 32, 8


def skip(reason):
    print(f"onnx_test: skipped: {reason}")
    sys.exit(77)


def png(rgb):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + rgb[y:y + 3 * SIDE] for y in range(0, len(rgb), 3 * SIDE))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def pixels(data):
    """Of a PNG that the program wrote: 8-bit RGB, each row under a filter of its own."""
    compressed = b"".join(data[m.end():m.end() + struct.unpack(">I", data[m.start() - 4:m.start()])[0]]
                          for m in re.finditer(b"IDAT", data))
    raw, stride, above, out = zlib.decompress(compressed), 3 * SIDE, bytes(3 * SIDE), b""
    for y in range(SIDE):
        kind, row = raw[y * (stride + 1)], bytearray(raw[y * (stride + 1) + 1:(y + 1) * (stride + 1)])
        for i in range(stride):
            a, b, c = (row[i - 3], above[i], above[i - 3]) if i > 2 else (0, above[i], 0)
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            row[i] = (row[i] + (0, a, b, (a + b) // 2, nearest)[kind]) % 256
        above, out = bytes(row), out + row
    return out


class OnnxRuntime(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.folder)
        draw = random.Random(1)
        # Colours that shade into each other, with some noise.
        pictures = [bytes(min(255, max(0, int(128 + 100 * math.sin(draw_x * x / 9 + draw_y * y / 9 + c) + draw.gauss(0, 9))))
                          for y in range(SIDE) for x in range(SIDE) for c in range(3))
                    for draw_x, draw_y in ((draw.uniform(-2, 2), draw.uniform(-2, 2)) for _ in range(COUNT))]
        (cls.folder / "plain").mkdir()
        for i, picture in enumerate(pictures):
            (cls.folder / "plain" / f"{i}.png").write_bytes(png(picture))
        (cls.folder / "pictures").write_bytes(b"".join(pictures))

    def veilnet(self, *words):
        done = subprocess.run([VEILNET, *map(str, words)], capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def outputs(self, model):
        onnx = self.folder / "model.onnx"
        self.veilnet("export", "--model", model, "-o", onnx, "--force")
        done = subprocess.run(["node", ROOT / "tests/e2e/onnx_test.mjs", WEB, onnx, self.folder / "pictures", str(SIDE), str(SIDE)],
                              capture_output=True, check=False)
        self.assertEqual(done.returncode, 0, done.stderr.decode())
        return array.array("f", done.stdout)

    def test_protects_as_the_program(self):
        for name in ("cifar10-h", "cifar100-h", "synthetic-h"):
            protected = self.folder / name
            self.veilnet("protect", self.folder / "plain", "--model", name, "-o", protected)
            ours = b"".join(pixels((protected / f"{i}.png").read_bytes()) for i in range(COUNT))
            theirs = [round(255 * x) for x in self.outputs(name)]
            self.assertEqual(len(theirs), len(ours))
            plane, differing = SIDE * SIDE, 0
            for i, value in enumerate(ours):
                picture, pixel, channel = i // (3 * plane), i // 3 % plane, i % 3
                difference = abs(value - theirs[(3 * picture + channel) * plane + pixel])
                self.assertLessEqual(difference, 1, (name, i))  # of 255 levels
                differing += difference
            self.assertLess(differing, len(ours) / 100, name)

    def test_classifies_as_the_program(self):
        said = self.folder / "said.json"
        for name in ("cifar10-psi", "cifar100-psi"):
            self.veilnet("classify", self.folder / "plain", "--model", name, "--top-k", 5, "--json", said)
            logits, results = self.outputs(name), json.loads(said.read_text())["results"]
            self.assertEqual(len(results), COUNT)
            classes = len(logits) // COUNT
            for i, result in enumerate(results):
                own = logits[i * classes:(i + 1) * classes]
                shares = [math.exp(x - max(own)) for x in own]
                likeliest = sorted((x / sum(shares) for x in shares), reverse=True)
                for row, share in zip(result["top"], likeliest):
                    self.assertAlmostEqual(row["probability"], share, delta=1e-4, msg=name)


if __name__ == "__main__":
    if not shutil.which("node"):
        skip("there is no node")
    if not (WEB / "node_modules" / "onnxruntime-web").is_dir():
        skip("there is no web/node_modules: cd web && npm ci")
    unittest.main()
