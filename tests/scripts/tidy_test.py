"""scripts/tidy.py turns a GCC command with a launcher into one that clang understands."""
import importlib.util
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("tidy", ROOT / "scripts/tidy.py")
tidy = importlib.util.module_from_spec(spec)
spec.loader.exec_module(tidy)


class Clean(unittest.TestCase):
    ADDED = ["-include", str(ROOT / "scripts/tidy-vector.h"), "-Wno-unknown-warning-option"]

    def test_launcher_and_compiler_give_way_to_clang(self):
        command = "cmake -E env CCACHE_BASEDIR=/src /usr/bin/ccache /usr/bin/c++ -DA='\"b c\"' -I/src -std=c++20 -o a.o -c /src/a.cpp"
        self.assertEqual(tidy.clean(command), ["clang++", '-DA="b c"', "-I/src", "-std=c++20", "-o", "a.o", "-c", "/src/a.cpp"] + self.ADDED)

    def test_forced_includes_stay(self):
        self.assertEqual(tidy.clean("/usr/bin/g++ -include config.h -c a.cpp"), ["clang++", "-include", "config.h", "-c", "a.cpp"] + self.ADDED)


if __name__ == "__main__":
    unittest.main()
