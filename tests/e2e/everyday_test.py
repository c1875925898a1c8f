"""What people expect of a tool: signals, streams, running again, messages.

usage: everyday_test.py VEILNET
"""
import json
import os
import pathlib
import random
import resource
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()


def png(width, height, seed=0):
    """A valid RGB PNG of noise."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    draw = random.Random(seed)
    rows = b"".join(b"\0" + draw.randbytes(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows, 1)) + chunk(b"IEND", b""))


def with_verdict(model, verdict, path):
    """Writes the model file with another verdict in its card."""
    data = model.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    notes = json.loads(header["__metadata__"]["notes"])
    header["__metadata__"]["notes"] = json.dumps(notes | {"verdict": verdict})
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])


class Everyday(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.key = self.root / "key"
        self.expect(0, [], "keygen", "--scheme", "le", "-o", self.key)
        self.photos, self.out = self.root / "photos", self.root / "out"
        self.photos.mkdir()
        self.encrypt = ["encrypt", self.photos, "--key", self.key, "-o", self.out]

    def fill(self, count, side=16):
        for i in range(count):
            (self.photos / f"{i:04}.png").write_bytes(png(side, side, i))

    def expect(self, code, parts, *words, **more):
        done = subprocess.run([VEILNET, *map(str, words)], **{"capture_output": True, **more})
        text = ((done.stderr or b"") + (done.stdout or b"")).decode(errors="replace")
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(part, text)
        return done

    def test_shards_share_a_folder_whatever_beside_them(self):
        self.fill(10)
        (self.photos / "0003.bmp").write_bytes(b"")
        (self.photos / "0004.webp").write_bytes(png(16, 16, 99))  # a twin of 0004.png, whose name gets its kind
        self.expect(0, [], *self.encrypt)
        whole = {p.name: p.read_bytes() for p in self.out.iterdir()}
        self.assertEqual(len(whole), 11)
        shutil.rmtree(self.out)
        for shard in ("1/3", "2/3", "3/3"):
            self.expect(0, [], *self.encrypt, "--shard", shard)
        self.assertEqual({p.name: p.read_bytes() for p in self.out.iterdir()}, whole)
        self.expect(0, ["were there already"], *self.encrypt, "--shard", "2/3", "--skip-existing")
        self.expect(0, [" 0 of 0 pictures"], *self.encrypt, "--shard", "12/12", "--force")
        for wrong in ("0/3", "4/3", "3", "1/0", "a/b", "1/2/3", "-1/2"):
            self.expect(2, ["--shard is", wrong], *self.encrypt, "--shard=" + wrong)

    def test_examples_for_archives_use_options_that_there_are(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        known = self.expect(0, [], "protect", "--help").stdout.decode()
        for name in ("docs/examples/archives/slurm.sh", "docs/examples/archives/kubernetes.yaml", "docs/archives.md"):
            text = (root / name).read_text()
            options = {word for line in text.replace("\\\n", " ").replace("\n              ", " ").splitlines() if "veilnet protect" in line
                       for word in line[line.index("veilnet protect"):].split() if word.startswith("--")}
            self.assertIn("--shard", options, name)
            for option in options:
                self.assertIn(option, known, name)

    def test_a_signal_stops_a_folder_and_skip_existing_goes_on(self):
        self.fill(300, side=200)
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            before = len(list(self.out.glob("*.png"))) if self.out.exists() else 0
            process = subprocess.Popen([VEILNET, *self.encrypt, "--skip-existing", "--json", self.root / "record.json"],
                                       stderr=subprocess.PIPE, text=True)
            while not self.out.exists() or len(list(self.out.glob("*.png"))) < before + 10:
                self.assertIsNone(process.poll())
                time.sleep(0.005)
            process.send_signal(number)
            sent = time.monotonic()
            stderr = process.communicate()[1]
            self.assertLess(time.monotonic() - sent, 1.5)
            self.assertEqual(process.returncode, status)
            written = len(list(self.out.iterdir()))  # nothing else either
            self.assertLess(written, 300)
            self.assertIn(f"encrypted {written - before} of 300", stderr)
            self.assertIn("stopped: ", stderr)
            record = json.loads((self.root / "record.json").read_text())
            self.assertTrue(record["interrupted"])
            self.assertEqual(len(record["written"]), written - before)
            self.assertEqual(len(record["skipped"]), before)
        self.expect(0, [f"encrypted {300 - written} of 300", f"{written} were there already"], *self.encrypt, "--skip-existing")
        self.expect(0, ["decrypted 300 of 300"], "decrypt", self.out, "--key", self.key, "-o", self.root / "back")

    def test_a_signal_ends_the_waiting_for_standard_input(self):
        for number, status in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
            process = subprocess.Popen([VEILNET, "encrypt", "-", "--key", self.key], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE)
            time.sleep(0.3)
            process.send_signal(number)
            sent = time.monotonic()
            self.assertEqual(process.wait(), status)
            self.assertLess(time.monotonic() - sent, 1)
            process.communicate()

    def test_what_is_there_is_an_error_unless_skipped_or_replaced(self):
        self.fill(2)
        self.expect(0, ["2 of 2"], *self.encrypt)
        (self.photos / "new.png").write_bytes(png(16, 16, 9))
        self.expect(1, ["0000.png: exists already", "encrypted 1 of 3"], *self.encrypt)
        (self.out / "new.png").unlink()
        self.expect(0, ["encrypted 1 of 3", "2 were there already"], *self.encrypt, "--skip-existing")
        self.expect(0, ["3 of 3"], *self.encrypt, "--force")
        self.expect(2, ["--skip-existing"], *self.encrypt, "--force", "--skip-existing")

    def test_skipping_leaves_nothing_undone(self):
        self.fill(2)
        self.expect(0, ["2 of 2"], *self.encrypt)
        whole = (self.out / "0001.png").read_bytes()
        (self.out / "0001.png").write_bytes(b"")  # what a power failure leaves
        self.expect(0, ["encrypted 1 of 2", "1 were there already"], *self.encrypt, "--skip-existing")
        self.assertEqual((self.out / "0001.png").read_bytes(), whole)
        # A twin that comes later takes nobody's name.
        (self.photos / "0001.webp").write_bytes((self.photos / "0000.png").read_bytes())
        self.expect(0, ["encrypted 2 of 3", "1 were there already"], *self.encrypt, "--skip-existing")
        self.assertEqual((self.out / "0001.png.png").read_bytes(), whole)
        self.assertEqual((self.out / "0001.webp.png").read_bytes(), (self.out / "0000.png").read_bytes())

    def test_the_record_replaces_no_picture(self):
        self.fill(1)
        picture = self.photos / "0000.png"
        before = picture.read_bytes()
        self.expect(2, ["--json", "0000.png", "is an input"], *self.encrypt, "--json", picture)
        self.assertEqual(picture.read_bytes(), before)
        self.expect(2, ["--json", "0000.png", "is where a picture is written"], *self.encrypt, "--json", self.out / "0000.png")
        self.assertFalse(self.out.exists())
        self.expect(2, ["names no file"], "keygen", "--scheme", "le", "-o", f"{self.root}/none/")
        self.assertFalse((self.root / "none").exists())

    def test_numbers_are_numbers(self):
        self.expect(2, ["--max-ssim", "nan"], "verify", self.photos, self.out, "--model", "cifar10-h", "--max-ssim", "nan")

    def test_a_loader_may_load_the_program(self):
        loader = pathlib.Path("/lib64/ld-linux-x86-64.so.2")
        if not loader.exists():
            self.skipTest(f"there is no {loader}")
        done = subprocess.run([loader, VEILNET, "protect", self.root / "none", self.root, "--model", "nobody's", "-o", self.out], text=True,
                              capture_output=True)
        self.assertEqual(done.returncode, 1, done.stderr)
        self.assertIn("nobody's", done.stderr)

    def test_output_is_a_folder_a_file_or_standard_output(self):
        self.fill(2)
        one = self.photos / "0000.png"
        words = ["encrypt", one, "--key", self.key, "-o"]
        self.expect(0, [], *words, self.root / "o.png")
        written = (self.root / "o.png").read_bytes()
        self.assertEqual(self.expect(0, [], *words, "-").stdout, written)
        self.assertEqual(self.expect(0, [], "encrypt", "-", "--key", self.key, input=one.read_bytes()).stdout, written)
        record = self.root / "record.json"
        self.expect(0, [], "encrypt", "-", "--key", self.key, "-o", self.root / "p.png", "--json", record, input=one.read_bytes())
        self.assertEqual((self.root / "p.png").read_bytes(), written)
        self.assertEqual([entry["input"] for entry in json.loads(record.read_text())["written"]], ["-"])
        self.expect(1, ["o.png: exists"], *words, self.root / "o.png")
        self.expect(2, ["one picture"], "encrypt", self.photos, "--key", self.key, "-o", self.root / "q.png")
        self.expect(2, ["one picture"], "encrypt", one, one, "--key", self.key, "-o", "-")
        self.expect(2, ["lossy"], *words, self.root / "o.jpg")
        self.expect(0, ["0000-encrypted.png"], "encrypt", one, "--key", self.key, cwd=self.root)
        self.assertEqual((self.root / "0000-encrypted.png").read_bytes(), written)
        self.expect(1, ["0000-encrypted.png: exists"], "encrypt", one, "--key", self.key, cwd=self.root)
        self.expect(2, ["--output"], "encrypt", self.photos, "--key", self.key)
        self.expect(2, ["--output"], "encrypt", one, one, "--key", self.key)

    def test_output_that_does_not_arrive_is_an_error(self):
        self.fill(1)
        picture = (self.photos / "0000.png").read_bytes()
        for words in (["schemes"], ["encrypt", "-", "--key", self.key], ["--help"], ["schemes", "--help"], ["--version"]):
            with open("/dev/full", "wb") as full:
                self.expect(1, ["standard output"], *words, input=picture, stdout=full, stderr=subprocess.PIPE, capture_output=False)
            reader, writer = os.pipe()
            os.close(reader)
            self.expect(1, ["standard output"], *words, input=picture, stdout=writer, stderr=subprocess.PIPE, capture_output=False)
            os.close(writer)
            done = subprocess.run(["sh", "-c", 'exec "$@" >&-', "sh", VEILNET, *words], input=picture, stderr=subprocess.PIPE)
            self.assertEqual(done.returncode, 1, done)

    def test_standard_input_has_a_limit(self):
        def limit():
            resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20))
        with open("/dev/zero", "rb") as endless:
            self.expect(1, ["standard input", "67108864"], "encrypt", "-", "--key", self.key, stdin=endless, preexec_fn=limit)

    def test_one_bad_input_never_stops_the_others(self):
        self.fill(2)
        (self.photos / "0000.jpg").write_bytes(b"\xff\xd8\xff no picture")
        (self.photos / "._0000.png").write_bytes(b"what macOS leaves")
        (self.photos / "old.bmp").write_bytes(b"BM")
        (self.photos / "self.png").symlink_to("self.png")
        (self.photos / "up").symlink_to(".")
        latin1 = os.fsencode(self.photos) + b"/caf\xe9.png"
        pathlib.Path(os.fsdecode(latin1)).write_bytes(png(16, 16, 3))
        record = self.root / "record.json"
        self.expect(1, ["0000.jpg", "self.png", "encrypted 3 of 5", "left out: 1 BMP", "2 of 5 pictures failed"], *self.encrypt,
                    "--json", record)
        told = json.loads(record.read_bytes().decode())
        names = lambda key, what: sorted(pathlib.Path(one[what]).name for one in told[key])
        self.assertEqual(names("written", "output"), ["0000.png.png", "0001.png", "caf\\xE9.png"])
        self.assertEqual(names("failed", "input"), ["0000.jpg", "self.png"])
        self.assertEqual(told["left_out"], {"BMP": 1})
        self.assertEqual(sorted(os.listdir(os.fsencode(self.out))), [b"0000.png.png", b"0001.png", b"caf\xe9.png"])

    def test_nothing_outside_the_output_folder_is_written(self):
        self.fill(1)
        one, linked = self.photos / "0000.png", self.root / "linked"
        before = one.read_bytes()
        linked.mkdir()
        (linked / "0000.png").symlink_to(one)
        for _ in range(2):
            self.expect(0, ["1 of 1"], "encrypt", linked, "--key", self.key, "-o", self.out, "--force")
        self.assertTrue((linked / "0000.png").is_symlink())
        # An output that is an input, by whatever way.
        (self.root / "way").symlink_to(self.photos)
        for inputs, output in ((self.photos, self.photos), (one, self.photos), (one, one), (self.photos, self.root / "way"),
                               (one, linked), (self.photos, self.root / "out/../photos")):
            self.expect(2, ["--output"], "encrypt", inputs, "--key", self.key, "-o", output, "--force")
        # A folder in the output folder that is a link.
        (self.photos / "sub").mkdir()
        (self.photos / "sub/a.png").write_bytes(png(16, 16, 1))
        elsewhere = self.root / "elsewhere"
        elsewhere.mkdir()
        (self.out / "sub").symlink_to(elsewhere)
        self.expect(1, ["is a link"], *self.encrypt, "--force")
        self.assertEqual(list(elsewhere.iterdir()), [])
        self.assertEqual(one.read_bytes(), before)
        # An output folder inside the input is not read.
        for _ in range(2):
            self.expect(0, ["2 of 2"], "encrypt", self.photos, "--key", self.key, "-o", self.photos / "out", "--force")

    def test_names_with_brackets_reach_the_program_as_given(self):
        for name, seed in (("raw", 1), ("[raw]", 2)):
            (self.root / name).mkdir()
            (self.root / name / "a.png").write_bytes(png(16, 16, seed))
            self.expect(0, ["1 of 1"], "encrypt", name, "--key", "key", "-o", f"[out {name}]", cwd=self.root)
        self.assertNotEqual((self.root / "[out raw]/a.png").read_bytes(), (self.root / "[out [raw]]/a.png").read_bytes())

    def test_quiet_and_verbose(self):
        self.fill(2)
        self.assertEqual(self.expect(0, [], *self.encrypt, "--quiet").stderr, b"")
        self.expect(0, ["0000.png -> ", "2 of 2"], *self.encrypt, "--force", "--verbose")
        self.expect(1, ["exists already"], *self.encrypt, "-q")

    def test_what_was_meant(self):
        self.expect(2, ['"encrpyt" is no command', "did you mean encrypt?"], "encrpyt")
        self.expect(2, ['"xyzzy" is no command', "veilnet --help"], "xyzzy")
        self.expect(2, ["--kye", "did you mean --key?", "veilnet encrypt --help"], "encrypt", "a.png", "--kye", "k")
        self.expect(2, ["subcommand"])

    def test_a_forgotten_value_is_not_the_next_option(self):
        self.expect(2, ["--output", "--force is an option and no value", "./--force"], "keygen", "--scheme", "le", "-o", "--force",
                    cwd=self.root)
        self.expect(2, ["--help is an option"], "schemes", "--grid", "--help", cwd=self.root)
        self.assertEqual([p.name for p in self.root.glob("--*")], [])

    def test_a_model_by_its_name(self):
        models = self.root / "models"
        shutil.copytree(pathlib.Path(__file__).resolve().parents[2] / "models", models)
        here = {"env": {**os.environ, "VEILNET_MODELS": str(models)}}
        self.fill(1, side=32)
        self.expect(0, ["cifar10-h", "cifar10-psi", "every checksum right"], "models", **here)
        self.expect(0, ["1 of 1"], "protect", self.photos, "--model", "cifar10-h", "-o", self.out, **here)
        self.expect(0, ["0000.png"], "classify", self.out, "--model", "cifar10-psi", **here)
        self.expect(1, ["cifar10-x", "veilnet models"], "protect", self.photos, "--model", "cifar10-x", "-o", self.out, **here)
        with (models / "cifar10-h.safetensors").open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"?")
        self.expect(1, ["cifar10-psi", "CANNOT BE USED", "SHA-256", "1 of"], "models", **here)
        self.expect(1, ["cifar10-h", "SHA-256", "index.json"], "protect", self.photos, "--model", "cifar10-h", "-o", self.out, **here)
        self.expect(1, ["VEILNET_MODELS"], "models", env={**os.environ, "VEILNET_MODELS": ""})

    def test_a_model_that_does_not_protect_is_told_when_it_is_used(self):
        source = pathlib.Path(__file__).resolve().parents[2] / "models/cifar10-h.safetensors"
        record, model = self.root / "record.json", self.root / "h.safetensors"
        self.fill(1, side=32)
        protect = ["protect", self.photos, "--model", model, "-o", self.out, "--force", "--json", record]
        for verdict, warned in (("protects: SSIM 0.01", False), ("does not protect: SSIM beyond 0.1", True)):
            with_verdict(source, verdict, model)
            said = self.expect(0, ["1 of 1"], *protect).stderr.decode()
            self.assertEqual("warning" in said, warned, said)
            self.assertEqual(f"its own training says that this model {verdict}" in said, warned, said)
            self.assertEqual(json.loads(record.read_text())["verdict"], verdict)

    def test_what_holds_no_picture_leaves_no_folder_behind(self):
        self.expect(1, ["photos: holds no .png", "1 of 1 pictures failed"], *self.encrypt)
        self.assertFalse(self.out.exists())
        self.fill(1)
        self.expect(0, ["1 of 1"], *self.encrypt)
        self.assertEqual([path.name for path in self.out.iterdir()], ["0000.png"])

    def test_verify_takes_protected_pictures_inside_for_protected_ones(self):
        inside = self.photos / "protected"
        model = pathlib.Path(__file__).resolve().parents[2] / "models/cifar10-h.safetensors"
        self.fill(2, side=32)
        self.expect(0, ["2 of 2"], "protect", self.photos, "--model", model, "-o", inside)
        (self.root / "way").symlink_to(inside)
        for way in (inside, self.root / "way"):
            self.expect(0, ["2 pairs", "yes: 2 of 2"], "verify", self.photos, way, "--model", model, "--max-ssim", 1)
        self.expect(2, [str(self.photos), "two folders"], "verify", self.photos, self.photos, "--model", model)

    def test_secrets_are_no_keys(self):
        secret = self.root / "client.secret"
        self.expect(0, ["wrote a secret"], "keygen", "--secret", "-o", secret)
        self.assertEqual(secret.stat().st_mode & 0o777, 0o600)
        self.expect(1, ["exists"], "keygen", "--secret", "-o", secret)
        self.fill(1)
        self.expect(1, [str(secret), "no key file", "veilnet-secret"], "encrypt", self.photos, "--key", secret, "-o", self.out)
        self.expect(2, ["--scheme", "--secret"], "keygen", "-o", self.root / "none")

    def test_a_relative_path_is_named_with_where_it_starts_from(self):
        self.expect(1, ["nowhere: no such file or folder (in ", str(self.root)], "encrypt", "nowhere", "--key", self.key, "-o", self.out,
                    cwd=self.root)

    def test_a_home_folder_behind_an_equals_sign(self):
        self.fill(1)
        self.expect(0, ["1 of 1"], "encrypt", self.photos, "--key=~/key", "--output=~/out",
                    env={**os.environ, "HOME": str(self.root)})
        self.assertTrue((self.out / "0000.png").exists())

    def test_log_lines_have_a_date(self):
        self.fill(1)
        self.assertRegex(self.expect(0, [], *self.encrypt).stderr.decode(), r"(?m)^20\d\d-\d\d-\d\d \d\d:\d\d:\d\d info ")

    def test_one_job_and_many_give_the_same_files(self):
        self.fill(70)
        self.expect(0, ["70 of 70"], *self.encrypt, "--jobs", 1)
        self.expect(0, ["70 of 70"], "encrypt", self.photos, "--key", self.key, "-o", self.root / "many", "--jobs", 9)
        for path in self.out.iterdir():
            self.assertEqual(path.read_bytes(), (self.root / "many" / path.name).read_bytes())
        self.expect(2, ["--jobs"], *self.encrypt, "--jobs", 0)


if __name__ == "__main__":
    unittest.main(verbosity=2)
