"""The installed library, from C++, C and Python, against the command.

usage: library_test.py VEILNET
"""
import ast
import glob
import inspect
import json
import os
import pathlib
import pickle
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
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
        for picture in (veilnet.read_picture(plain), veilnet.read_picture(plain, *h.size)):
            self.assertTrue(np.array_equal(h.fit(picture), veilnet.read_picture(seen)))
        found = veilnet.verify(h, veilnet.read_picture(plain), veilnet.read_picture(seen))
        self.assertTrue(found["of_this_model"])
        self.assertEqual(h.size, (32, 32))

    def test_models_have_names(self):
        environment = {name: value for name, value in os.environ.items() if name != "VEILNET_MODELS"} | {"PYTHONPATH": str(PYTHON)}
        self.assertEqual(run(sys.executable, "-c", "import veilnet; print(*veilnet.Protector('cifar10-h').size)", env=environment).split(),
                         ["32", "32"])

    def test_labels_and_verification_are_the_commands(self):
        plain, seen, said = self.picture(), self.folder / "seen.png", self.folder / "said.json"
        run(VEILNET, "protect", plain, "--model", H, "-o", seen)
        picture, protected = veilnet.read_picture(plain), veilnet.read_picture(seen)
        run(VEILNET, "classify", seen, "--model", PSI, "--top-k", 4, "--json", said)
        expected = json.loads(said.read_text())["results"][0]["top"]
        labels = veilnet.Classifier(PSI).classify(protected, top_k=4)
        self.assertEqual([name for name, _ in labels], [row["class"] for row in expected])
        for (_, share), row in zip(labels, expected):
            self.assertAlmostEqual(share, row["probability"], places=6)
        run(VEILNET, "verify", plain, seen, "--model", H, "--json", said)
        expected = json.loads(said.read_text())["results"][0]
        for name, value in veilnet.verify(veilnet.Protector(H), picture, protected).items():
            self.assertAlmostEqual(value, expected[name], places=6)

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

    def test_reads_pictures_where_they_lie(self):
        """NumPy tells tracemalloc of each array that it makes: of a copy, were there one."""
        images = np.random.default_rng(3).integers(0, 256, (64, 32, 32, 3), dtype=np.uint8)
        images.flags.writeable = False
        h, psi, pe = veilnet.Protector(H), veilnet.Classifier(PSI), veilnet.Cipher.generate("pe")

        def made(call, of):
            tracemalloc.start()
            result = call(of)
            most = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            return most, result

        for call in (h.protect, psi.logits, pe.encrypt, pe.decrypt):
            most, result = made(call, images)
            self.assertLess(most, images.nbytes / 4, call)
            self.assertTrue(result.flags.writeable and result.flags.c_contiguous)
            self.assertFalse(np.shares_memory(result, images))
            # What is not contiguous has to be copied, which shows that a copy would be seen.
            self.assertGreater(made(call, images[:, ::-1])[0], images.nbytes / 2, call)

    def test_other_threads_run_while_pictures_are_protected(self):
        h, count = veilnet.Protector(H, threads=1), 64
        while True:
            images = np.zeros((count, 32, 32, 3), np.uint8)
            begun, ended, seen = [], [], []

            def protect():
                begun.append(time.perf_counter())
                h.protect(images)
                ended.append(time.perf_counter())

            worker = threading.Thread(target=protect)
            worker.start()
            while worker.is_alive():
                seen.append(time.perf_counter())
                time.sleep(0.001)
            worker.join()
            took = ended[0] - begun[0]
            if took > 0.5:
                break
            count *= 2
        # Well inside the call, where one that kept the lock would let nothing run.
        self.assertTrue(any(begun[0] + took / 4 < at < ended[0] - took / 4 for at in seen), (count, took, len(seen)))

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

    def test_schemes_encrypt_as_the_command(self):
        """LE and PE, whose meaning the test above writes down, by the command with the same key."""
        image = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
        plain, encrypted = self.folder / "plain.png", self.folder / "encrypted.png"
        veilnet.write_png(plain, image)
        for scheme in ("le", "pe"):
            key = self.folder / f"{scheme}.key"
            run(VEILNET, "keygen", "--scheme", scheme, "-o", key)
            run(VEILNET, "encrypt", plain, "--key", key, "-o", encrypted, "--force")
            cipher = veilnet.Cipher.load(key)
            self.assertTrue(np.array_equal(cipher.encrypt(image), veilnet.read_picture(encrypted)))
            self.assertTrue(np.array_equal(cipher.decrypt(veilnet.read_picture(encrypted)), image))

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

    def test_stub_and_module_agree(self):
        """Public names, kinds, parameters and defaults of veilnet.pyi, against what pybind11 writes of the module."""
        stub = ast.parse((ROOT / "python" / "veilnet.pyi").read_text())
        classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
        typed = {name for name, node in classes.items() if [base.id for base in node.bases if isinstance(base, ast.Name)] == ["TypedDict"]}
        functions = {node.name: node for node in stub.body if isinstance(node, ast.FunctionDef)}
        public = {name for name in vars(veilnet) if not name.startswith("_")}
        self.assertEqual(public, classes.keys() - typed | functions.keys())

        def parameters(definition, bound):
            a = definition.args
            self.assertFalse(a.posonlyargs or a.vararg or a.kwarg)
            names = [arg.arg for arg in a.args][1 if bound else 0:]
            defaults = [ast.literal_eval(value) for value in a.defaults]
            alone = [(arg.arg, value and ast.literal_eval(value)) for arg, value in zip(a.kwonlyargs, a.kw_defaults)]
            return names, defaults, alone

        def check(where, node, found, bound=True):
            self.assertEqual(inspect.getdoc(found).count("-> "), 1, where)  # not overloaded
            line, _, text = inspect.getdoc(found).partition("\n")
            self.assertTrue(text.strip(), f"{where} has no docstring")
            self.assertEqual(parameters(node, bound), parameters(ast.parse(f"def {line}: ...").body[0], bound), where)

        for name, node in functions.items():
            check(name, node, getattr(veilnet, name), bound=False)
        for name in classes.keys() - typed:
            cls = getattr(veilnet, name)
            self.assertTrue(cls.__doc__, name)
            members = {node.name: node for node in classes[name].body if isinstance(node, ast.FunctionDef)}
            public = {member for member in vars(cls) if not member.startswith("_")}
            self.assertEqual(public, members.keys() - {"__init__"}, name)
            for member, node in members.items():
                where, found = f"{name}.{member}", inspect.getattr_static(cls, member)
                kinds = {word.id for word in node.decorator_list}
                self.assertEqual(isinstance(found, property), "property" in kinds, where)
                self.assertEqual(isinstance(found, staticmethod), "staticmethod" in kinds, where)
                if "property" in kinds:
                    self.assertTrue(found.__doc__, where)
                else:
                    check(where, node, getattr(cls, member), bound="staticmethod" not in kinds)

        found = veilnet.verify(veilnet.Protector(H), *[np.zeros((32, 32, 3), np.uint8)] * 2)
        self.assertEqual(list(found), [node.target.id for node in classes["Verification"].body if isinstance(node, ast.AnnAssign)])
        said = next(node for node in classes["Error"].body if isinstance(node, ast.AnnAssign)).target.id
        with self.assertRaises(veilnet.Error) as caught:
            veilnet.read_picture(self.folder / "none.png")
        self.assertEqual(getattr(caught.exception, said), "not_found")

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
