"""keygen, encrypt and decrypt from the outside.

usage: cli_test.py VEILNET
"""
import json
import pathlib
import random
import stat
import struct
import subprocess
import sys
import tempfile
import unittest
import zlib

VEILNET = sys.argv.pop(1)


def png(pixels):
    """A PNG of these rows of RGB bytes."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", len(pixels[0]) // 3, len(pixels), 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in pixels))) + chunk(b"IEND", b""))


def chunks(data):
    """(kind, content) of each chunk; checks the checksums."""
    at = 8
    while at < len(data):
        length = int.from_bytes(data[at:at + 4], "big")
        body = data[at + 4:at + 8 + length]
        assert zlib.crc32(body) == int.from_bytes(data[at + 8 + length:at + 12 + length], "big"), body[:4]
        yield body[:4], body[4:]
        at += length + 12


def pixels(data):
    """Rows of an 8-bit RGB PNG."""
    parts = list(chunks(data))
    width, height, depth, kind = struct.unpack(">IIBB", parts[0][1][:10])
    assert (depth, kind) == (8, 2)
    raw = zlib.decompress(b"".join(content for name, content in parts if name == b"IDAT"))
    rows, above = [], bytes(3 * width)
    for y in range(height):
        line = raw[y * (3 * width + 1):(y + 1) * (3 * width + 1)]
        row = bytearray(line[1:])
        for x in range(len(row)):
            left, up, corner = (row[x - 3], above[x], above[x - 3]) if x > 2 else (0, above[x], 0)
            nearest = min((left, up, corner), key=lambda v: abs(left + up - corner - v))
            row[x] = (row[x] + (0, left, up, (left + up) // 2, nearest)[line[0]]) % 256
        above = bytes(row)
        rows.append(above)
    return rows


class Cipher(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        draw = random.Random(1)
        self.plain = {}
        for name, (height, width) in {"a.png": (32, 32), "sub/b.png": (30, 45)}.items():
            self.plain[name] = [draw.randbytes(3 * width) for _ in range(height)]
            path = self.root / "in" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(png(self.plain[name]))

    def expect(self, code, parts, *words):
        done = subprocess.run([VEILNET, *map(str, words)], capture_output=True)
        text = (done.stderr + done.stdout).decode(errors="replace")
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(str(part), text)

    def pixels(self, folder, name):
        return pixels((self.root / folder / name).read_bytes())

    def test_every_keyed_scheme_comes_back_exactly(self):
        for scheme, *flags in (["le"], ["le", "--block-size", 8], ["ele"], ["etc"], ["pe"], ["pe", "--shuffle-components"], ["pixel-shuffle"],
                               ["bit-flip"], ["ffx"], ["vit"], ["vit", "--negative-positive"]):
            with self.subTest(scheme=scheme, flags=flags):
                case = self.root / "-".join(map(str, [scheme, *flags]))
                self.expect(0, [f"for {scheme}", "different keys"], "keygen", "--scheme", scheme, *flags, "-o", case / "key")
                self.expect(0, ["encrypted 2 of 2"], "encrypt", "--key", case / "key", self.root / "in", "-o", case / "out")
                self.expect(0, ["decrypted 2 of 2"], "decrypt", "--key", case / "key", case / "out", "-o", case / "back")
                for name, plain in self.plain.items():
                    self.assertNotEqual(self.pixels(case / "out", name), plain)
                    self.assertEqual(self.pixels(case / "back", name), plain)

    def test_keygen(self):
        key = self.root / "key"
        self.expect(0, ["2^498.3", "2^256"], "keygen", "--scheme", "le", "-o", key, "--json", self.root / "key.json")
        self.assertEqual(stat.S_IMODE(key.stat().st_mode), 0o600)
        self.assertAlmostEqual(json.loads((self.root / "key.json").read_text())["key_space_bits"], 498.277, 3)
        before = key.read_text()
        self.expect(1, ["key", "exists"], "keygen", "--scheme", "le", "-o", key)
        self.assertEqual(key.read_text(), before)
        self.expect(0, [], "keygen", "--scheme", "le", "-o", key, "--force")
        self.assertNotEqual(key.read_text(), before)
        self.expect(2, ["rot13", "le, ele"], "keygen", "--scheme", "rot13", "-o", key, "--force")
        self.expect(2, ["blur", "no key"], "keygen", "--scheme", "blur", "-o", key, "--force")
        self.expect(2, ["--block-size", "pe"], "keygen", "--scheme", "pe", "--block-size", 4, "-o", key, "--force")

    def test_wrong_keys_are_told_apart(self):
        for name, *flags in (["le"], ["le2"], ["le8", "--block-size", 8]):
            self.expect(0, [], "keygen", "--scheme", "le", *flags, "-o", self.root / name)
        key, out, back = self.root / "le", self.root / "out", self.root / "back"
        self.expect(0, [], "encrypt", "--key", key, self.root / "in/a.png", "-o", out)
        self.expect(1, ["a.png", "under key"], "decrypt", "--key", self.root / "le2", out, "-o", back)
        self.expect(1, ["block_size 4", "block_size 8"], "decrypt", "--key", self.root / "le8", out, "-o", back)
        self.expect(2, ["le, block size 4", "ele, block size 4"], "encrypt", "--key", key, "--scheme", "ele", out, "-o", back)
        key.write_text(key.read_text()[:40])
        self.expect(1, [key, "not valid JSON"], "decrypt", "--key", key, out, "-o", back)
        self.expect(1, ["none", "no such file"], "decrypt", "--key", self.root / "none", out, "-o", back)
        self.assertEqual(list(back.rglob("*")), [])

    def test_independent_keys_and_baselines(self):
        again = []
        for run in ("1", "2"):
            self.expect(0, [], "encrypt", "--scheme", "pe", "--key-mode", "independent", self.root / "in", "-o", self.root / run)
            again.append(self.pixels(run, "a.png"))
        self.assertNotEqual(*again)
        self.expect(0, [], "keygen", "--scheme", "pe", "-o", self.root / "key")
        self.expect(1, ["thrown away"], "decrypt", "--key", self.root / "key", self.root / "1", "-o", self.root / "back")
        for scheme, strength in (("blur", 2.5), ("pixelate", 8), ("noise", 30)):
            self.expect(0, [], "encrypt", "--scheme", scheme, "--strength", strength, self.root / "in", "-o", self.root / scheme)
            self.assertNotEqual(self.pixels(scheme, "a.png"), self.plain["a.png"])
        self.expect(2, ["blur", "0.1 to 100"], "encrypt", "--scheme", "blur", "--strength", 1000, self.root / "in", "-o", self.root / "x")
        self.expect(2, ["--strength", "le"], "encrypt", "--scheme", "le", "--key-mode", "independent", "--strength", 1, self.root / "in", "-o",
                    self.root / "x")
        self.expect(2, ["needs --key"], "encrypt", "--scheme", "le", self.root / "in", "-o", self.root / "x")
        self.expect(2, ["--key nor --scheme"], "encrypt", self.root / "in", "-o", self.root / "x")
        self.expect(2, ["drop --key"], "encrypt", "--key", self.root / "key", "--key-mode", "independent", self.root / "in", "-o", self.root / "x")
        self.expect(2, ["same, independent"], "encrypt", "--scheme", "pe", "--key-mode", "both", self.root / "in", "-o", self.root / "x")

    def test_lossy_formats_are_refused(self):
        self.expect(0, [], "keygen", "--scheme", "le", "-o", self.root / "key")
        for name in ("x.jpg", "x.webp"):
            self.expect(2, ["lossy", "nor decrypted"], "encrypt", "--key", self.root / "key", self.root / "in/a.png", "-o", self.root / name)
        (self.root / "photo.jpg").write_bytes(b"\xff\xd8\xff\xe0")
        self.expect(1, ["photo.jpg", "no PNG", "lossy"], "decrypt", "--key", self.root / "key", self.root / "photo.jpg", "-o", self.root / "out")

    def test_one_bad_picture_does_not_stop_the_others(self):
        (self.root / "in/bad.png").write_bytes(b"no picture")
        self.expect(0, [], "keygen", "--scheme", "le", "-o", self.root / "key")
        words = ("encrypt", "--key", self.root / "key", self.root / "in", "-o", self.root / "out")
        self.expect(1, ["bad.png", "encrypted 2 of 3", "1 of 3 pictures failed"], *words, "--json", self.root / "out.json")
        record = json.loads((self.root / "out.json").read_text())
        self.assertEqual((record["scheme"], len(record["written"]), len(record["failed"])), ("le", 2, 1))
        self.expect(1, ["exists already"], *words)
        (self.root / "in/bad.png").unlink()
        self.expect(0, ["encrypted 2 of 2"], *words, "--force")

    def test_the_note(self):
        self.expect(0, [], "keygen", "--scheme", "le", "-o", self.root / "key", "--json", self.root / "key.json")
        self.expect(0, [], "encrypt", "--key", self.root / "key", self.root / "in/sub/b.png", "-o", self.root / "out")
        [note] = [content for kind, content in chunks((self.root / "out/b.png").read_bytes()) if kind == b"tEXt"]
        keyword, text = note.split(b"\0")
        self.assertEqual(keyword, b"veilnet")
        self.assertEqual(json.loads(text), {"scheme": "le", "block_size": 4, "height": 30, "width": 45,
                                            "key_id": json.loads((self.root / "key.json").read_text())["key_id"]})


if __name__ == "__main__":
    unittest.main()
