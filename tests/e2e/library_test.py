"""The installed library, from C++, C and Python, against the command.

usage: library_test.py VEILNET
"""
import glob
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
BUILD = VEILNET.parent
ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "docs" / "examples" / "library"
H, PSI = ROOT / "models" / "cifar10-h.safetensors", ROOT / "models" / "cifar10-psi.safetensors"
PYTHON = BUILD / "python"
try:
    import numpy as np
except ImportError:
    np = None
if glob.glob(str(PYTHON / "veilnet*.so")) and np is not None:
    sys.path.insert(0, str(PYTHON))
    import veilnet
else:
    veilnet = None


def run(*command, **options):
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise AssertionError(f"{command}: rc {done.returncode}\n{done.stdout}\n{done.stderr}")
    return done.stdout


def pixels(png):
    """Its compressed pixels, without the notes that stand beside them."""
    data, at, out = png.read_bytes(), 8, b""
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        out += data[at + 8:at + 8 + size] if kind == b"IDAT" else b""
        at += 12 + size
    return out


class Folder(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def picture(self, name="plain.png"):
        """A picture that the program made."""
        path = self.folder / name
        run(VEILNET, "schemes", "--grid", path)
        return path


class Installed(Folder):
    @classmethod
    def setUpClass(cls):
        cls.prefix = pathlib.Path(tempfile.mkdtemp())
        run("cmake", "--install", BUILD, "--prefix", cls.prefix, "--component", "veilnet")
        cls.lib = next(cls.prefix.glob("lib/**/libveilnet.so")).parent
        cls.environment = {**os.environ, "LD_LIBRARY_PATH": str(cls.lib), "OMP_NUM_THREADS": "1"}

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.prefix)

    def test_example_finds_package_and_models(self):
        run("cmake", "-S", EXAMPLE, "-B", self.folder / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}")
        run("cmake", "--build", self.folder / "build")
        plain, seen = self.picture(), self.folder / "seen.png"
        named = run(self.folder / "build" / "example", plain, seen, env=self.environment)
        expected = self.folder / "expected.png"
        run(self.prefix / "bin" / "veilnet", "protect", plain, "--model", "cifar10-h", "-o", expected, env=self.environment)
        self.assertEqual(seen.read_bytes(), expected.read_bytes())
        classified = run(VEILNET, "classify", seen, "--model", PSI)
        self.assertIn(named.split()[0], classified)

    def test_c_example_by_pkg_config(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.lib / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", "veilnet", env=environment).split()
        run("gcc", EXAMPLE / "example.c", "-o", self.folder / "example", *flags)
        self.assertTrue(run(self.folder / "example", H, env=self.environment).startswith("32x32 "))
        failed = subprocess.run([self.folder / "example", "none"], capture_output=True, text=True, env=self.environment)
        self.assertEqual((failed.returncode, "none" in failed.stderr), (1, True))

    def test_c_does_what_the_command_does(self):
        environment = {**os.environ, "PKG_CONFIG_PATH": str(self.lib / "pkgconfig")}
        flags = run("pkg-config", "--cflags", "--libs", "veilnet", env=environment).split()
        run("gcc", "-std=c99", "-Wall", "-Wextra", "-Wpedantic", "-Werror", ROOT / "tests" / "api" / "c_program.c",
            "-o", self.folder / "c_program", *flags)
        plain = self.picture()
        name = run(self.folder / "c_program", H, PSI, plain, self.folder, env=self.environment).strip()
        expected = self.folder / "expected.png"
        run(VEILNET, "protect", plain, "--model", H, "-o", expected)
        self.assertEqual((self.folder / "seen.png").read_bytes(), expected.read_bytes())
        self.assertIn(name, run(VEILNET, "classify", expected, "--model", PSI, "--top-k", "1"))
        run(VEILNET, "encrypt", plain, "--key", self.folder / "key", "-o", self.folder / "theirs.png")
        self.assertEqual(pixels(self.folder / "encrypted.png"), pixels(self.folder / "theirs.png"))

    def test_only_the_public_interface_is_seen(self):
        symbols = run("nm", "-DC", "--defined-only", self.lib / "libveilnet.so")
        self.assertIn("veilnet::Protector::protect", symbols)
        for hidden in ("veilnet::runtime::", "veilnet::image::", "dnnl_", "sodium_", "png_"):
            self.assertNotIn(hidden, symbols)
        self.assertNotIn("torch", run("ldd", self.lib / "libveilnet.so"))


@unittest.skipIf(veilnet is None, "no Python module in the build (-DVEILNET_PYTHON=ON), or no NumPy")
class Python(Folder):
    def test_same_bytes_as_the_command(self):
        plain, seen = self.picture(), self.folder / "seen.png"
        run(VEILNET, "protect", plain, "--model", H, "-o", seen)
        h = veilnet.Protector(H)
        self.assertTrue(np.array_equal(h.fit(veilnet.read_picture(plain)), veilnet.read_picture(seen)))
        found = veilnet.verify(h, veilnet.read_picture(plain), veilnet.read_picture(seen))
        self.assertTrue(found["of_this_model"])
        self.assertEqual(h.size, (32, 32))

    def test_batches_keep_their_shape(self):
        images = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3), dtype=np.uint8)
        seen = veilnet.Protector(H).protect(images)
        self.assertEqual((seen.shape, seen.dtype), (images.shape, np.uint8))
        psi = veilnet.Classifier(PSI)
        logits = psi.logits(seen)
        self.assertEqual((logits.shape, logits.dtype), ((5, 10), np.float32))
        name, share = psi.classify(seen[0], top_k=2)[0]
        self.assertIn(name, psi.class_names)
        self.assertTrue(0 < share <= 1)
        # Not contiguous: read as it says, not as it lies.
        turned = images.transpose(0, 2, 1, 3)
        self.assertTrue(np.array_equal(psi.logits(turned), psi.logits(np.ascontiguousarray(turned))))
        # As an array comes from another process: equal in type, but with a dtype of its own.
        self.assertTrue(np.array_equal(psi.logits(pickle.loads(pickle.dumps(seen))), logits))

    def test_refuses_what_is_no_picture(self):
        h = veilnet.Protector(H)
        for wrong, words in ((np.zeros((32, 32, 3)), "float64"), (np.zeros((32, 32), np.uint8), "(32, 32)"),
                             (np.zeros((2, 3, 32, 32), np.uint8), "(2, 3, 32, 32)"), (np.zeros((0, 32, 32, 3), np.uint8), "0 pictures")):
            with self.assertRaises(veilnet.Error) as caught:
                h.protect(wrong)
            self.assertIn(words, str(caught.exception))
            self.assertEqual(caught.exception.cause, "invalid_argument")
        with self.assertRaises(veilnet.Error) as caught:
            veilnet.Protector("no-such-model")
        self.assertEqual(caught.exception.cause, "not_found")
        with self.assertRaises(veilnet.Error) as caught:
            veilnet.Protector(H, precision="fp8")
        self.assertIn("fp8", str(caught.exception))

    def test_schemes_are_those_of_plain_numpy(self):
        """PE and LE written down as they are published; what the key chose is read off known pictures."""
        images = np.random.default_rng(2).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
        pe = veilnet.Cipher.generate("pe")
        # Black and white do not meet: which values are complemented is seen in black.
        mask = pe.encrypt(np.zeros((32, 32, 3), np.uint8))
        self.assertEqual(set(np.unique(mask)), {0, 255})
        self.assertTrue(np.array_equal(pe.encrypt(images), images ^ mask))
        self.assertTrue(np.array_equal(pe.decrypt(pe.encrypt(images)), images))

        le = veilnet.Cipher.generate("le")

        def blocks(x):  # (count, 8, 4, 8, 4, 3) -> (count, 64, 48)
            return x.reshape(-1, 8, 4, 8, 4, 3).transpose(0, 1, 3, 2, 4, 5).reshape(-1, 64, 48)

        def nibbles(x):
            return np.concatenate((blocks(x) >> 4, blocks(x) & 15), axis=2)

        # LE splits bytes into nibbles, complements some of the 96 places of a block and permutes them, all blocks alike.
        base = nibbles(le.encrypt(np.zeros((32, 32, 3), np.uint8)))[0, 0]
        self.assertTrue(set(base) <= {0, 15})
        source = np.empty(96, int)
        for place in range(96):
            block = np.zeros((4, 4, 3), np.uint8).reshape(48)
            block[place % 48] = 0x10 if place < 48 else 0x01
            image = np.tile(block.reshape(4, 4, 3), (8, 8, 1))
            changed = np.flatnonzero(nibbles(le.encrypt(image))[0, 0] != base)
            self.assertEqual(len(changed), 1)
            source[changed[0]] = place
        expected = nibbles(images)[:, :, source] ^ base.astype(np.uint8)
        self.assertTrue(np.array_equal(nibbles(le.encrypt(images)), expected))
        self.assertTrue(np.array_equal(le.decrypt(le.encrypt(images)), images))

    def test_key_files_are_the_commands(self):
        key, plain, encrypted = self.folder / "k", self.picture(), self.folder / "e.png"
        cipher = veilnet.Cipher.generate("etc", block_size=8)
        cipher.save(key)
        self.assertEqual(key.stat().st_mode & 0o777, 0o600)
        run(VEILNET, "encrypt", plain, "--key", key, "-o", encrypted)
        picture = veilnet.read_picture(plain)
        height, width = (side // 8 * 8 for side in picture.shape[:2])
        whole = np.ascontiguousarray(picture[:height, :width])
        veilnet.write_png(self.folder / "w.png", whole)
        run(VEILNET, "encrypt", self.folder / "w.png", "--key", key, "-o", encrypted, "--force")
        self.assertTrue(np.array_equal(veilnet.Cipher.load(key).encrypt(whole), veilnet.read_picture(encrypted)))

    def test_wheel_installs(self):
        run(sys.executable, ROOT / "scripts" / "make_wheel.py", "--version", "0.1.0", "--output", self.folder,
            glob.glob(str(PYTHON / "veilnet*.so"))[0], ROOT / "python" / "veilnet.pyi")
        wheel = next(self.folder.glob("*.whl"))
        site = self.folder / "site"
        shutil.unpack_archive(wheel, site, "zip")  # what installing a wheel of one file comes to
        out = run(sys.executable, "-c", "import veilnet; print(veilnet.__version__, veilnet.__file__)",
                  env={**os.environ, "PYTHONPATH": str(site)})
        self.assertIn(str(site), out)


if __name__ == "__main__":
    unittest.main()
