"""scripts/fuzz.py counts what libFuzzer executed, and every target has what it starts from."""
import importlib.util
import pathlib
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("fuzz", ROOT / "scripts/fuzz.py")
fuzz = importlib.util.module_from_spec(spec)
spec.loader.exec_module(fuzz)


class Executions(unittest.TestCase):
    def test_the_final_count_stands_for_the_run(self):
        log = "#2\tINITED cov: 1\n#1024\tpulse  cov: 2\nstat::number_of_executed_units: 1500\n"
        self.assertEqual(fuzz.executions_in(log), 1500)

    def test_without_it_the_last_progress_counts(self):
        self.assertEqual(fuzz.executions_in("#2\tINITED\n#512\tNEW cov: 2\n==7== ERROR\n"), 512)

    def test_a_run_that_never_began_counts_nothing(self):
        self.assertEqual(fuzz.executions_in("Dictionary: 3 entries\n"), 0)


class Targets(unittest.TestCase):
    def test_each_has_a_dictionary_and_small_seeds(self):
        self.assertIn("safetensors", fuzz.TARGETS)
        for target in fuzz.TARGETS:
            self.assertTrue((ROOT / "fuzz" / f"{target}.dict").exists(), target)
            sizes = [path.stat().st_size for path in (ROOT / "fuzz/corpus" / target).iterdir()]
            self.assertTrue(sizes, target)
            self.assertLess(max(sizes), 20_000, target)


if __name__ == "__main__":
    unittest.main()
