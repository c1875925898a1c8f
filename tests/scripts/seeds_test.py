import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]


class Seeds(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)

    def record(self, seed, accuracy, **changes):
        path = self.root / f"{len(list(self.root.iterdir()))}.json"
        path.write_text(json.dumps({
            "experiment": "cifar", "commit": "abc", "machine": {}, "data": {"name": "cifar10"}, "seed": seed,
            "config": f'name = "run-{seed}"\nruns = "runs"\n\n[classifier]\nepochs = 2\nseed = {seed}\n',
            "metrics": {"protected_accuracy": {"mean": accuracy, "paper": 0.9}, "gap": 1 - accuracy}} | changes))
        return path

    def run_on(self, *records, code=0, part=""):
        out = self.root / "out" / "seeds.json"
        out.parent.mkdir(exist_ok=True)
        done = subprocess.run([sys.executable, str(ROOT / "scripts" / "seeds.py"), *map(str, records), "-o", str(out)],
                              capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertIn(part, done.stderr)
        return json.loads(out.read_text()) if code == 0 else None

    def test_mean_and_spread_of_each_metric(self):
        merged = self.run_on(self.record(100, 0.8), self.record(101, 0.9), self.record(102, 0.85))
        self.assertEqual(merged["experiment"], "cifar-seeds")
        self.assertEqual(merged["seeds"], ["100", "101", "102"])
        found = merged["metrics"]["protected_accuracy"]
        self.assertAlmostEqual(found["mean"], 0.85)
        self.assertAlmostEqual(found["spread"], 0.05)
        self.assertEqual(found["n"], 3)
        self.assertAlmostEqual(merged["metrics"]["gap"]["mean"], 0.15)

    def test_what_does_not_go_together_is_refused(self):
        one = self.record(100, 0.8)
        self.run_on(one, code=1, part="two or more")
        self.run_on(one, self.record(100, 0.9), code=1, part="each is to be another")
        self.run_on(one, self.record(101, 0.9, commit="def"), code=1, part="commit is def")
        self.run_on(one, self.record(101, 0.9, data={"name": "other"}), code=1, part="data is")
        longer = self.record(101, 0.9, config="[classifier]\nepochs = 3\nseed = 101\n")
        self.run_on(one, longer, code=1, part="epochs = 3")
        broken = self.root / "broken.json"
        broken.write_text("{")
        self.run_on(one, broken, code=1, part="broken.json")
        self.assertEqual(list((self.root / "out").iterdir()), [], "nothing is left behind")

    def test_the_documents_take_it(self):
        self.run_on(self.record(100, 0.8), self.record(101, 0.9))
        spec = importlib.util.spec_from_file_location("results", ROOT / "scripts" / "results.py")
        results = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(results)
        text = "\n".join(results.section(results.load(self.root / "out" / "seeds.json")))
        self.assertIn("| protected_accuracy | 0.85 ± 0.07 |", text)
        self.assertIn("2 trainings, seeds 100, 101", text)

    def test_a_result_is_not_replaced(self):
        records = self.record(100, 0.8), self.record(101, 0.9)
        self.run_on(*records)
        self.run_on(*records, code=1, part="exists")


if __name__ == "__main__":
    unittest.main()
