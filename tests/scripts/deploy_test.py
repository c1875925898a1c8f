"""The files in deploy/ that nothing here runs: read as Docker reads them, against the tree."""
import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
INSTRUCTIONS = {"FROM", "RUN", "COPY", "WORKDIR", "USER", "EXPOSE", "ENTRYPOINT", "CMD", "ENV", "ARG"}


def instructions(path):
    """(instruction, rest) of a Dockerfile, lines continued and comments left out."""
    text = re.sub(r"\\\n", " ", "".join(line for line in path.read_text().splitlines(keepends=True) if not line.startswith("#")))
    return [tuple(line.split(None, 1)) for line in text.splitlines() if line.strip()]


def version():
    return re.search(r"project\(veilnet VERSION ([\d.]+)", (ROOT / "CMakeLists.txt").read_text())[1]


class Dockerfiles(unittest.TestCase):
    def test_stages_packages_and_targets_exist(self):
        files = sorted((ROOT / "deploy").glob("Dockerfile*"))
        self.assertEqual([f.name for f in files], ["Dockerfile", "Dockerfile.lab"])
        makefile = (ROOT / "Makefile").read_text()
        for path in files:
            with self.subTest(path.name):
                found, stages = instructions(path), set()
                self.assertEqual(found[0][0], "FROM")
                for word, rest in found:
                    self.assertIn(word, INSTRUCTIONS)
                    if word == "FROM":
                        self.assertRegex(rest, r"^debian:12-slim( AS \w+)?$")
                        stages.update(re.findall(r" AS (\w+)", rest))
                    if stage := re.match(r"--from=(\w+)", rest):
                        self.assertIn(stage[1], stages)
                        for package in re.findall(r"(veilnet(?:-lab)?)_(\S+)_amd64\.deb", rest):
                            self.assertEqual(package[1], version())
                    for target in re.findall(r"(?:^|&& )make (\w+)", rest):
                        self.assertRegex(makefile, rf"(?m)^{target}:")
                    for option in re.findall(r"-D(\w+)=", rest):
                        self.assertIn(f"option({option} ", (ROOT / "CMakeLists.txt").read_text())
                self.assertIn(("USER", "65534:65534"), found, "not root")
                self.assertEqual([rest for word, rest in found if word == "ENTRYPOINT"], ['["veilnet"]'])

    def test_nothing_that_was_built_here_goes_along(self):
        lines = lambda name: [line.rstrip("/") for line in (ROOT / name).read_text().splitlines() if not line.startswith("#")]
        # Git's patterns hold at any depth, Docker's where they say so.
        expected = {name[1:] if name.startswith("/") else "**/" + name for name in lines(".gitignore")}
        self.assertLessEqual(expected, set(lines(".dockerignore")))


if __name__ == "__main__":
    unittest.main()
