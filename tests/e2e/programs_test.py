"""The two programs and the one command from the outside.

usage: programs_test.py VEILNET
"""
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import unittest

VEILNET = pathlib.Path(sys.argv.pop(1))
LAB = VEILNET.with_name("veilnet-lab")


def run(*words, **more):
    return subprocess.run([*map(str, words)], capture_output=True, text=True, **more)


def listed(program):
    """The commands that --help lists."""
    text = run(program, "--help").stdout
    return re.findall(r"^  ([a-z]+) ", text[text.index("ommands"):], re.M)


class Programs(unittest.TestCase):
    def test_veilnet_links_no_libtorch_and_starts_at_once(self):
        libraries = run("ldd", VEILNET).stdout
        self.assertIn("libc.so", libraries)
        for name in ("torch", "c10", "openblas", "gomp"):
            self.assertNotIn(name, libraries)
        times = []
        for _ in range(10):  # of the processor, since the machine may be busy
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            done = run(VEILNET, "--version")
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        self.assertRegex(done.stdout, r"^veilnet \d+\.\d+\.\d+ \(.+\)\n$")
        self.assertLess(min(times), 0.02)

    def test_help_lists_the_commands_of_both(self):
        names = listed(VEILNET)
        self.assertEqual(len(names), len(set(names)))
        for name in ("encrypt", "keygen", "train", "reproduce"):
            self.assertIn(name, names)

    def test_every_listed_command_is_there(self):
        for name in listed(VEILNET):
            done = run(VEILNET, name, "--help")
            if "veilnet-lab" in done.stderr and not LAB.exists():
                continue
            self.assertEqual(done.returncode, 0, done)
            self.assertIn("Usage: veilnet " + name, done.stdout)

    def test_names_of_files_do_nothing_to_the_terminal(self):
        with tempfile.TemporaryDirectory() as folder:
            name = "\x1b[2J\n" + "x" * 200
            key = pathlib.Path(folder, name)
            done = run(VEILNET, "keygen", "--scheme", "le", "-o", key)
            self.assertEqual(done.returncode, 0, done)
            again = run(VEILNET, "keygen", "--scheme", "le", "-o", key)
            self.assertEqual(again.returncode, 1, again)
            for text in (done.stderr, again.stderr):
                self.assertIn("/\\x1B[2J\\nxxx", text)
                self.assertNotIn("\x1b", text)

    @unittest.skipUnless(LAB.exists(), "built without veilnet-lab")
    def test_the_lab_is_found_beside_veilnet_and_then_in_path(self):
        self.assertEqual(run(LAB, "--version").stdout, run(VEILNET, "--version").stdout.replace("veilnet", "veilnet-lab", 1))
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(VEILNET, folder)
            elsewhere = {**os.environ, "PATH": f"{LAB.parent}:{os.environ['PATH']}"}
            self.assertIn("Usage: veilnet train", run(alone, "train", "--help", env=elsewhere).stdout)

    def test_a_missing_lab_is_explained(self):
        with tempfile.TemporaryDirectory() as folder:
            alone = shutil.copy(VEILNET, folder)
            done = run(alone, "train", "classifier", env={"PATH": "/nonexistent"})
            self.assertEqual(done.returncode, 1)
            for part in ("veilnet train", "veilnet-lab", "VEILNET_LAB", "libtorch-dev"):
                self.assertIn(part, done.stderr)
            self.assertEqual(run(alone, "schemes", env={"PATH": "/nonexistent"}).returncode, 0)


if __name__ == "__main__":
    unittest.main()
