import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import unittest

SCRIPT = pathlib.Path(__file__).resolve().parents[2] / "scripts" / "add_model.py"


def model_file(role, notes):
    """A model file without tensors, of this card."""
    card = {"role": role, "parameters": "{}", "notes": json.dumps(notes)}
    header = json.dumps({"__metadata__": card}).encode()
    return struct.pack("<Q", len(header)) + header


class AddModel(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        (self.root / "scripts").mkdir()
        shutil.copy(SCRIPT, self.root / "scripts")
        self.model, self.record = self.root / "h.safetensors", self.root / "record.json"
        self.record.write_text(json.dumps({
            "metrics": {"plain_accuracy": 0.9},
            "protections": [{"label": "h", "alpha": 0.005, "accuracy": 0.87654, "plain_accuracy": 0.9}],
            "cells": [{"protection": "h", "attack": "look", "measures": {"ssim": {"mean": 0.01}}}]}))

    def add(self, role, **notes):
        self.model.write_bytes(model_file(role, {"alpha": "0.005", **notes}))
        return subprocess.run([sys.executable, self.root / "scripts/add_model.py", "h", self.model, self.record, "An h."],
                              capture_output=True, text=True)

    def test_takes_one_that_protects(self):
        done = self.add("transform", verdict="protects: SSIM 0.01")
        self.assertEqual(done.returncode, 0, done.stderr)
        entry, = json.loads((self.root / "models/index.json").read_text())["models"]
        self.assertEqual(entry["figures"], {"accuracy": 0.8765, "plain_accuracy": 0.9, "ssim_seen": 0.01})
        self.assertEqual((self.root / "models/h.safetensors").read_bytes(), self.model.read_bytes())

    def test_takes_a_model_from_where_it_puts_it(self):
        self.add("transform", verdict="protects: SSIM 0.01")
        before = (self.root / "models/h.safetensors").read_bytes()
        self.model = self.root / "models/h.safetensors"
        self.assertEqual(self.add("transform", verdict="protects: SSIM 0.01").returncode, 0)
        self.assertEqual(self.model.read_bytes(), before)

    def test_refuses_what_makes_them_too_large_together(self):
        (self.root / "models").mkdir()
        (self.root / "models/big").write_bytes(bytes(40 << 20))
        index = json.dumps({"models": [{"name": "big", "file": "big"}]})
        (self.root / "models/index.json").write_text(index)
        done = self.add("transform", verdict="protects: SSIM 0.01")
        self.assertEqual(done.returncode, 1)
        self.assertIn("together", done.stderr)
        self.assertEqual((self.root / "models/index.json").read_text(), index)
        self.assertFalse((self.root / "models/h.safetensors").exists())

    def test_refuses_one_whose_verdict_is_bad_or_that_has_none(self):
        for role, notes, why in (("transform", {"verdict": "does not protect: SSIM beyond 0.1"}, "does not protect: SSIM beyond 0.1"),
                                 ("encoder", {"verdict": "does not protect: rebuilt"}, "does not protect: rebuilt"),
                                 ("transform", {}, "was never judged"), ("encoder", {}, "was never judged"),
                                 ("classifier", {"verdict": "did not learn: no better than chance"}, "did not learn")):
            done = self.add(role, **notes)
            self.assertEqual(done.returncode, 1, done.stdout)
            self.assertIn(str(self.model), done.stderr)
            self.assertIn(why, done.stderr)
            self.assertFalse((self.root / "models").exists(), "nothing is left behind")


if __name__ == "__main__":
    unittest.main()
