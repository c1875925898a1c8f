"""Inputs as people met them in other tools (make_cases.py), each with what must come of it.

usage: cases_test.py VEILNET
The cases are made by make_cases.py in $VEILNET_CASES or ../shared/cases; without it, or without
python3-pil and python3-numpy, everything is skipped, with the reason.
"""
import functools
import hashlib
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

try:
    import numpy as np
    from PIL import Image, ImageOps
except ImportError as e:
    # Another python3 in front of Debian's may lack Debian's packages.
    debian = "/usr/bin/python3"
    if os.path.exists(debian) and os.path.realpath(sys.executable) != os.path.realpath(debian):
        os.execv(debian, [debian, *sys.argv])
    Image, missing = None, str(e)

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
HAS_LAB = VEILNET.with_name("veilnet-lab").exists()
SOURCE = pathlib.Path(__file__).resolve().parents[2]
CASES = pathlib.Path(os.environ.get("VEILNET_CASES", SOURCE / "../shared/cases"))
MAKE_CASES = CASES / "make_cases.py"
SETTINGS = """
name = "t"
anyway = true
runs = "{runs}"
[compute]
threads = 1
[data]
train_size = 200
test_size = 20
[classifier]
depth = 8
epochs = 1
batch_size = 16
[phi]
epochs = 1
layer = "relu1_1"
[transform]
width = 2
epochs = 1
batch_size = 16
encoder_epochs = 1
"""


def pixels(path):
    """As stored: PIL turns nothing by itself."""
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"), float)


def mean_difference(a, b):
    return float(abs(a - b).mean()) if a.shape == b.shape else float("inf")


def chunks(path):
    """Types and contents of a PNG's chunks."""
    data, at, found = path.read_bytes(), 8, []
    while at < len(data):
        size = struct.unpack(">I", data[at:at + 4])[0]
        found.append((data[at + 4:at + 8], data[at + 8:at + 8 + size]))
        at += 12 + size
    return found


def hashes(folder):
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.rglob("*")) if path.is_file() and path.name != "expect.txt"}


def each_writer(test):
    """Runs the test for each command that writes a picture for each picture."""
    @functools.wraps(test)
    def run(self):
        writers = {"encrypt": ["--key", self.key]}
        if HAS_LAB:
            self.need_models()
            writers["protect"] = ["--model", self.h]
        for command, flags in writers.items():
            with self.subTest(command=command):
                test(self, command, flags)
    return run


class Cases(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if Image is None:
            raise unittest.SkipTest(f"python3-pil and python3-numpy are needed: {missing}")
        if not MAKE_CASES.exists():
            raise unittest.SkipTest(f"{MAKE_CASES} is absent: set VEILNET_CASES to its folder")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.cases = cls.root / "cases"
        subprocess.run([sys.executable, MAKE_CASES, cls.cases], check=True, capture_output=True)
        cls.key = cls.root / "le.key"
        done = cls.veilnet("keygen", "--scheme", "le", "-o", cls.key)
        assert done.returncode == 0, done.stderr
        cls.h = cls.psi = None

    @staticmethod
    def veilnet(*words, **more):
        return subprocess.run([VEILNET, *map(str, words)], capture_output=True, text=True, **more)

    def run_well(self, *words, **more):
        done = self.veilnet(*words, **more)
        self.assertEqual(done.returncode, 0, done.stderr)
        return done

    def new_folder(self):
        return pathlib.Path(tempfile.mkdtemp(dir=self.root))

    def need_models(self):
        """Small trained networks, made once."""
        if not HAS_LAB:
            self.skipTest("veilnet-lab is not built")
        if self.h:
            return
        config = self.root / "t.toml"
        config.write_text(SETTINGS.format(runs=self.root / "runs"))
        for network in ("classifier", "transform"):
            self.run_well("train", network, "--config", config)
        models = {path.parent.name.split("-")[0]: path
                  for path in (self.root / "runs/t").glob("*/model.safetensors")}
        type(self).psi, type(self).h = models["classifier"], models["transform"]

    def case(self, name):
        """A fresh copy of the case, without what says how it must end."""
        folder = self.new_folder() / name
        shutil.copytree(self.cases / name, folder, symlinks=True)
        (folder / "expect.txt").unlink()
        return folder

    def expect(self, code, parts, *words, **more):
        """For names that are no text, unlike run_well."""
        done = subprocess.run([VEILNET, *words], capture_output=True, **more)
        text = (done.stderr + done.stdout).decode(errors="replace")
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(part, text)
        return done

    def encrypted_and_back(self, picture):
        """Where a picture's encrypted and decrypted PNG lie."""
        out = self.new_folder()
        self.run_well("encrypt", picture, "--key", self.key, "-o", out / "e")
        encrypted = next((out / "e").glob("*.png"))
        self.run_well("decrypt", encrypted, "--key", self.key, "-o", out / "d")
        return encrypted, next((out / "d").glob("*.png"))

    def data_of(self, *settings, options=()):
        words = [word for setting in settings for word in ("--set", setting)]
        return self.veilnet("data", *words, *options)

    def viewed(self):
        """phone.jpg as viewers show it, without Exif."""
        path = self.new_folder() / "viewed.png"
        image = Image.open(self.cases / "orientation/phone.jpg")
        ImageOps.exif_transpose(image).convert("RGB").save(path, exif=b"")
        return path

    def test_orientation(self):
        phone, upright = (self.cases / "orientation" / name for name in ("phone.jpg", "upright.png"))
        self.assertEqual(pixels(phone).shape, (64, 48, 3), "the case is stored turned")
        made = pixels(self.encrypted_and_back(upright)[1])
        self.assertEqual(mean_difference(made, pixels(upright)), 0)
        made = pixels(self.encrypted_and_back(phone)[1])
        self.assertLess(mean_difference(made, pixels(self.viewed())), 1)
        self.assertLess(mean_difference(made, pixels(upright)), 10)  # what JPEG loses at the edges

    def test_orientation_in_protect_and_classify(self):
        self.need_models()
        phone = self.cases / "orientation/phone.jpg"
        inputs, out = self.new_folder(), self.new_folder()
        (inputs / "phone.jpg").write_bytes(phone.read_bytes())
        (inputs / "viewed.png").write_bytes(self.viewed().read_bytes())
        Image.fromarray(pixels(phone).astype(np.uint8)).save(inputs / "turned.png")
        self.run_well("protect", inputs, "--model", self.h, "--keep-size", "-o", out)
        made = {name: pixels(out / f"{name}.png") for name in ("phone", "viewed", "turned")}
        self.assertLess(mean_difference(made["phone"], made["viewed"]), 1)
        self.assertNotEqual(made["phone"].shape, made["turned"].shape)
        self.run_well("classify", inputs, "--model", self.psi, "--json", out / "c.json")
        top = {pathlib.Path(result["input"]).name: result["top"]
               for result in json.loads((out / "c.json").read_text())["results"]}
        for viewed, phone in zip(top["viewed.png"], top["phone.jpg"]):
            self.assertEqual(phone["class"], viewed["class"])
            self.assertAlmostEqual(phone["probability"], viewed["probability"], delta=0.02)

    def test_photographs_are_decoded_at_a_fraction_of_their_size(self):
        self.need_models()
        inputs, out = self.new_folder(), self.new_folder()
        whole = Image.open(self.cases / "orientation/phone.jpg").convert("RGB").resize((960, 1280), Image.BICUBIC)
        whole.save(inputs / "small.jpg", quality=95)
        Image.open(inputs / "small.jpg").save(inputs / "whole.png")
        self.run_well("protect", inputs, "--model", self.h, "-o", out)
        self.assertLess(mean_difference(pixels(out / "small.png"), pixels(out / "whole.png")), 1)
        self.run_well("verify", inputs, out, "--model", self.h, "--max-ssim", 1)

    def test_orientation_in_image_folders(self):
        if not HAS_LAB:
            self.skipTest("veilnet-lab is not built")
        folder = self.new_folder()
        for part in ("train", "test"):
            for label, path in (("phone", self.cases / "orientation/phone.jpg"),
                                ("viewed", self.viewed())):
                (folder / part / label).mkdir(parents=True)
                for copy in "12":
                    (folder / part / label / f"{copy}{path.suffix}").write_bytes(path.read_bytes())
        done = self.data_of("data.source=folder", f"data.path={folder}",
                            options=("--export", folder / "out"))
        self.assertEqual(done.returncode, 0, done.stderr)
        phone, viewed = (sorted((folder / "out/test" / label).glob("*.png"))
                         for label in ("phone", "viewed"))
        self.assertEqual((len(phone), len(viewed)), (2, 2))
        self.assertLess(mean_difference(pixels(phone[0]), pixels(viewed[0])), 1)

    def test_cmyk(self):
        case = self.cases / "cmyk"
        made = pixels(self.encrypted_and_back(case / "adobe.jpg")[1])
        self.assertLess(mean_difference(made, pixels(case / "rgb.png")), 6)

    def test_metadata(self):
        picture = self.cases / "metadata/a.png"
        marks = (b"AUTHOR-MARK", b"XMP-MARK", b"MAKER-MARK")
        for mark in marks:
            self.assertIn(mark, picture.read_bytes(), "the case carries it")
        made = list(self.encrypted_and_back(picture))
        if HAS_LAB:
            self.need_models()
            out = self.new_folder()
            self.run_well("protect", picture, "--model", self.h, "-o", out)
            made.append(out / "a.png")
        for path in made:
            for mark in marks:
                self.assertNotIn(mark, path.read_bytes(), path)
            for kind, content in chunks(path):
                ours = kind in (b"IHDR", b"IDAT", b"IEND") or content.startswith(b"veilnet\0")
                self.assertTrue(ours, (path, kind))

    @unittest.skipUnless(HAS_LAB, "veilnet-lab is not built")
    def test_missing_batch(self):
        case = self.cases / "missing_batch"
        done = self.data_of("data.source=cifar10", f"data.path={case}")
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("data_batch_3.bin", done.stderr)
        one = self.data_of("data.source=cifar10", f"data.path={case / 'data_batch_1.bin'}")
        self.assertEqual(one.returncode, 0, one.stderr)
        self.assertIn("data_batch_1.bin alone", one.stderr + one.stdout)

    @unittest.skipUnless(HAS_LAB, "veilnet-lab is not built")
    def test_class_names(self):
        case, out = self.cases / "class_names", self.new_folder()
        before = sorted(self.root.rglob("*"))
        done = self.data_of("data.source=cifar10", f"data.path={case}",
                            options=("--export", out / "a/b/c"))
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn("batches.meta.txt, line 1", done.stderr)
        self.assertNotIn("\x1b[31mred", done.stderr)
        self.assertEqual(sorted(self.root.rglob("*")), before, "nothing was written")

    @unittest.skipUnless(HAS_LAB, "veilnet-lab is not built")
    def test_folder_val(self):
        case, out = self.cases / "folder_val", self.new_folder()
        done = self.data_of("data.source=folder", f"data.path={case}",
                            options=("--json", out / "data.json"))
        self.assertEqual(done.returncode, 0, done.stderr)
        data = json.loads((out / "data.json").read_text())
        self.assertEqual((data["train"], data["validation"], data["test"]), (10, 12, 2))
        shown = done.stdout + done.stderr
        for note in ("val is the validation set, 12 pictures",
                     "every fifth picture of each class of train/ is the test set", "1 BMP"):
            self.assertIn(note, shown)
            self.assertTrue(any(note in line for line in data["notes"]), note)

    @each_writer
    def test_linked(self, command, flags):
        folder = self.case("linked")
        before = hashes(folder / "originals")
        for more in ([], ["--force"]):
            self.expect(0, ["1 of 1"], command, folder / "photos", *flags, "-o", folder / "out", *more)
        self.assertEqual(hashes(folder / "originals"), before)
        self.assertEqual(list(hashes(folder / "out")), ["a.png"])
        self.assertTrue((folder / "photos/a.png").is_symlink())

    @unittest.skipUnless(HAS_LAB, "veilnet-lab is not built")
    def test_linked_and_attacked(self):
        folder = self.case("linked")
        before = hashes(folder / "originals")
        for attack in (["chosen-plaintext", "--scheme", "le"], ["fr"]):
            self.expect(0, ["1 pictures"], "attack", *attack, folder / "photos", "-o", folder / attack[0], "--force")
            self.assertEqual(list(hashes(folder / attack[0])), ["encrypted/a.png", "recovered/a.png"])
        self.assertEqual(hashes(folder / "originals"), before)

    @each_writer
    def test_a_link_in_the_output_folder_is_not_followed(self, command, flags):
        folder = self.case("linked")
        before = hashes(folder / "originals")
        (folder / "out").mkdir()
        (folder / "out/a.png").symlink_to("../originals/a.png")
        for more in ([], ["--force"]):
            self.expect(2, ["is an input"], command, folder / "photos", *flags, "-o", folder / "out", *more)
        (folder / "more").symlink_to("originals")
        self.expect(2, ["is an input"], command, folder / "photos", *flags, "-o", folder / "more", "--force")
        self.assertEqual(hashes(folder / "originals"), before)

    @each_writer
    def test_in_place(self, command, flags):
        folder = self.case("in_place")
        before = hashes(folder)
        for inputs, output in ((folder, folder), (folder / "a.png", folder), (folder / "a.png", folder / "a.png"),
                               (folder, folder.parent / "in_place/../in_place")):
            self.expect(2, ["--output"], command, inputs, *flags, "-o", output, "--force")
        self.assertEqual(hashes(folder), before)

    @each_writer
    def test_an_output_folder_inside_the_input_is_no_input(self, command, flags):
        folder = self.case("in_place")
        for _ in range(2):
            self.expect(0, ["1 of 1"], command, folder, *flags, "-o", folder / "out", "--force")
        self.assertEqual(list(hashes(folder / "out")), ["a.png"])

    @each_writer
    def test_loop(self, command, flags):
        folder = self.case("loop")
        done = self.expect(1, ["self.png", "1 of 2"], command, folder, *flags, "-o", folder.parent / "out")
        self.assertEqual(done.stderr.count(b"self.png"), 1)
        self.assertEqual(list(hashes(folder.parent / "out")), ["ok.png"])

    @each_writer
    def test_mac(self, command, flags):
        folder = self.case("mac")
        self.expect(0, ["1 of 1"], command, folder, *flags, "-o", folder.parent / "out")
        self.assertEqual(list(hashes(folder.parent / "out")), ["a.png"])

    @each_writer
    def test_mixed(self, command, flags):
        folder = self.case("mixed")
        record = folder.parent / "record.json"
        self.expect(1, ["bad.jpg", "1 BMP, 1 GIF, 1 TIFF", "1 of 2 pictures failed"], command, folder, *flags,
                    "-o", folder.parent / "out", "--json", record)
        told = json.loads(record.read_text())
        self.assertEqual([pathlib.Path(one["input"]).name for one in told["written"]], ["good.png"])
        self.assertEqual([pathlib.Path(one["input"]).name for one in told["failed"]], ["bad.jpg"])
        self.assertEqual(told["left_out"], {"BMP": 1, "GIF": 1, "TIFF": 1})

    @unittest.skipUnless(HAS_LAB, "veilnet-lab is not built")
    def test_mixed_classified(self):
        self.need_models()
        folder = self.case("mixed")
        record = folder.parent / "record.json"
        self.expect(1, ["good.png", "bad.jpg", "1 BMP"], "classify", folder, "--model", self.psi, "--json", record)
        told = json.loads(record.read_text())
        self.assertEqual([pathlib.Path(one["input"]).name for one in told["results"]], ["good.png"])
        self.assertEqual([pathlib.Path(one["input"]).name for one in told["failed"]], ["bad.jpg"])

    @each_writer
    def test_latin1(self, command, flags):
        folder = self.case("latin1")
        record = folder.parent / "record.json"
        self.expect(0, ["1 of 1"], command, folder, *flags, "-o", folder.parent / "out", "--json", record)
        told = json.loads(record.read_bytes().decode())
        self.assertIn("caf\\xE9.png", told["written"][0]["output"])
        self.assertEqual(os.listdir(os.fsencode(folder.parent / "out")), [b"caf\xe9.png"])

    @each_writer
    def test_twins(self, command, flags):
        folder = self.case("twins")
        record = folder.parent / "record.json"
        self.expect(0, ["2 of 2"], command, folder, *flags, "-o", folder.parent / "out", "--json", record)
        self.assertEqual(list(hashes(folder.parent / "out")), ["IMG_1.jpg.png", "IMG_1.png.png"])
        told = {pathlib.Path(one["input"]).name: pathlib.Path(one["output"]).name for one in json.loads(record.read_text())["written"]}
        self.assertEqual(told, {"IMG_1.jpg": "IMG_1.jpg.png", "IMG_1.png": "IMG_1.png.png"})

    @each_writer
    def test_brackets(self, command, flags):
        folder = self.case("brackets")
        written = {}
        for name in ("raw", "[raw]"):
            self.expect(0, ["1 of 1"], command, name, *flags, "-o", f"out {name}", cwd=folder)
            written[name] = hashes(folder / f"out {name}")
        self.assertNotEqual(written["raw"], written["[raw]"])
        shutil.rmtree(folder / "raw")
        self.expect(0, ["1 of 1"], command, "[raw]", *flags, "-o", "[out]", cwd=folder)
        self.assertEqual(hashes(folder / "[out]"), written["[raw]"])


if __name__ == "__main__":
    unittest.main()
