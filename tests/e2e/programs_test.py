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
        for name in ("libtorch", "libc10", "libopenblas"):  # an address may hold c10
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

    def test_every_command_is_there_and_shows_examples(self):
        paths = re.findall(r"^  \['veilnet (.+)'\]=", run(VEILNET, "completion", "bash").stdout, re.M)
        self.assertIn("encrypt", paths)
        self.assertLessEqual(set(listed(VEILNET)), set(paths))
        for path in paths:
            if any(other.startswith(path + " ") for other in paths):  # one that has commands below it
                continue
            done = run(VEILNET, *path.split(), "--help")
            if "veilnet-lab" in done.stderr and not LAB.exists():
                continue
            self.assertEqual(done.returncode, 0, done)
            self.assertIn("Usage: veilnet " + path, done.stdout)
            examples = done.stdout.partition("Examples:\n")[2].strip().splitlines()
            self.assertGreaterEqual(len(examples), 2, path)
            for example in examples:
                self.assertIn(f"veilnet {path}", example)

    def complete(self, *words):
        """What bash would offer for the last of the words."""
        script = 'source <("$1" completion bash); shift; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _veilnet; printf "%s\\n" "${COMPREPLY[@]}"'
        done = run("bash", "-c", script, "bash", VEILNET, *words)
        self.assertEqual(done.stderr, "")
        return done.stdout.split()

    def test_completion(self):
        self.assertEqual(self.complete("veilnet", "enc"), ["encrypt"])
        self.assertIn("train", self.complete("veilnet", ""))
        self.assertEqual(self.complete("veilnet", "encrypt", "--sk"), ["--skip-existing"])
        self.assertEqual(self.complete("veilnet", "encrypt", "photos", "--key", ""), [])  # a file
        if LAB.exists():
            self.assertEqual(self.complete("veilnet", "train", "cl"), ["classifier"])
            self.assertEqual(self.complete("veilnet", "train", "classifier", "--res"), ["--resume"])
        for shell, check in (("zsh", ["-n"]), ("fish", ["--no-execute"])):
            script = run(VEILNET, "completion", shell)
            self.assertEqual(script.returncode, 0, script)
            if shutil.which(shell):
                self.assertEqual(run(shell, *check, "/dev/stdin", input=script.stdout).stderr, "")
        self.assertEqual(run(VEILNET, "completion", "tcsh").returncode, 2)
        if shutil.which("fish"):
            done = run("fish", "-c", 'eval ($argv[1] completion fish | string collect); complete -C "veilnet encrypt --sk"', VEILNET)
            self.assertEqual(done.stdout.split()[0], "--skip-existing", done)

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
