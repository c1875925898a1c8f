"""Kills a training with SIGKILL at a random step, resumes it, and expects the weights of an uninterrupted run, bit for bit; a matrix of
attacks likewise, and its figures.

usage: resume_test.py VEILNET
"""
import json
import pathlib
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import drawn_phi

VEILNET = sys.argv.pop(1)
SETTINGS = """
name = "t"
anyway = true
checkpoint_minutes = 0.0
[compute]
threads = 1
[data]
train_size = 200
test_size = 20
[classifier]
depth = 8
epochs = 4
batch_size = 8
[phi]
file = "PHI"
layer = "relu1_1"
[transform]
width = 2
epochs = 4
batch_size = 8
encoder_epochs = 1
[attack]
width = 2
epochs = 4
batch_size = 8
"""


SELDOM = ["--set", "checkpoint_minutes=5.0"]  # saving after every step is for what is going to be stopped


def steps_logged(run):
    log = run / "log.jsonl"
    if not log.exists():
        return 0
    steps = [0]
    for line in log.read_text().splitlines():
        try:
            steps.append(json.loads(line).get("step", 0))
        except json.JSONDecodeError:
            pass  # being written right now
    return max(steps)


class Resume(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = pathlib.Path(folder.name)
        cls.config = cls.root / "t.toml"
        phi = drawn_phi.write(cls.root / "phi.safetensors")
        cls.config.write_text(SETTINGS.replace("PHI", str(phi)))
        # A whole experiment from which each test removes the part that it trains again.
        cls.runs, cls.whole = cls.root / "runs", cls.root / "whole"
        cls.run_to_end(["reproduce"], *SELDOM)
        cls.runs.rename(cls.whole)

    @classmethod
    def command(cls, words, *flags):
        return [VEILNET, *words, "--config", str(cls.config), "--set", f"runs={cls.runs}", *flags]

    @classmethod
    def run_to_end(cls, words, *flags):
        done = subprocess.run(cls.command(words, *flags), capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def stop_at_random_step(self, words, run, total_steps, how):
        # Steps are logged every 20; stopping a random while after one of them hits any step.
        target = random.randrange(0, total_steps - 40)
        process = subprocess.Popen(self.command(words), stderr=subprocess.PIPE, text=True)
        # A kill before the first checkpoint would leave nothing to resume.
        while process.poll() is None and (steps_logged(run) < target or not (run / "checkpoint" / "state.pt").exists()):
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.05))
        process.send_signal(how)
        stderr = process.communicate()[1]
        self.assertFalse((run / "model.safetensors").exists(), "the training ended before it could be stopped")
        return process.returncode, stderr

    def check(self, words, name, total_steps, how=signal.SIGKILL):
        seed = random.randrange(1 << 30)
        random.seed(seed)
        print(f"seed {seed}")
        run = self.runs / "t" / name
        models = []
        for stopped in (False, True):
            shutil.rmtree(self.runs, ignore_errors=True)
            shutil.copytree(self.whole, self.runs)
            shutil.rmtree(run)
            if stopped:
                code, stderr = self.stop_at_random_step(words, run, total_steps, how)
                if how == signal.SIGINT:
                    self.assertEqual(code, 130)
                    self.assertIn("--resume", stderr)
                else:
                    self.assertEqual(code, -how)
                self.run_to_end(words, "--resume", *SELDOM)
                self.assertIn("resume", [json.loads(line).get("event") for line in (run / "log.jsonl").read_text().splitlines()])
            else:
                self.run_to_end(words, *SELDOM)
            models.append((run / "model.safetensors").read_bytes())
        self.assertEqual(models[0], models[1])

    def test_classifier_after_kill(self):
        self.check(["train", "classifier"], "classifier", 22 * 4)

    def test_classifier_after_interrupt(self):
        self.check(["train", "classifier"], "classifier", 22 * 4, how=signal.SIGINT)

    def test_transform_after_kill(self):
        self.check(["train", "transform"], "transform-a0.005", 22 * 4)

    def test_transform_after_interrupt_in_its_encoder(self):
        encoder, h = (self.runs / "t" / name for name in ("encoder", "transform-a0.005"))
        long = ["--set", "transform.encoder_epochs=12"]
        models = []
        for stopped in (False, True):
            shutil.rmtree(self.runs, ignore_errors=True)
            shutil.copytree(self.whole, self.runs)
            shutil.rmtree(encoder)
            shutil.rmtree(h)
            if stopped:
                process = subprocess.Popen(self.command(["train", "transform"], *long), stderr=subprocess.PIPE, text=True)
                while process.poll() is None and not (encoder / "checkpoint/state.pt").exists():
                    time.sleep(0.005)
                process.send_signal(signal.SIGINT)
                process.communicate()
                self.assertEqual(process.returncode, 130)
                self.assertFalse(h.exists())
                self.run_to_end(["train", "transform"], *long, "--resume", *SELDOM)
                self.assertIn("resume", [json.loads(line).get("event") for line in (encoder / "log.jsonl").read_text().splitlines()])
            else:
                self.run_to_end(["train", "transform"], *long, *SELDOM)
            models.append((h / "model.safetensors").read_bytes())
        self.assertEqual(models[0], models[1])

    def test_attack_after_kill(self):
        self.check(["attack", "itn"], "transform-a0.005/attack-itn", 22 * 4)

    def test_matrix_of_attacks_after_kill(self):
        words = ["reproduce", "attacks", "--results", str(self.root / "results")]
        flags = [word for key in ('attacks.schemes=["le"]', 'attacks.only=["fr", "itn-small", "itn-position", "sia-gan"]', "attacks.known=40",
                                  "attacks.attacked=20", "attacks.epochs=1", "attacks.transports=[]", "attacks.attributes=false",
                                  "attacks.curve=false") for word in ("--set", key)]
        matrices = []
        for stops in (0, 3):
            shutil.rmtree(self.runs, ignore_errors=True)
            for _ in range(stops):
                # What else is measured is no matter to a training that goes on.
                process = subprocess.Popen(self.command(words, *flags, "--set", 'attacks.transports=["png"]'), stderr=subprocess.DEVNULL)
                time.sleep(random.uniform(0.5, 3))
                process.kill()
                process.wait()
            self.run_to_end(words, *flags)
            matrix = json.loads((self.runs / "t/attacks/small/matrix.json").read_text())
            for cell in matrix["cells"]:
                cell.get("budget", {}).pop("seconds", None)
                cell.pop("commit", None)
            matrices.append(matrix["cells"])
        self.assertEqual(matrices[0], matrices[1])


if __name__ == "__main__":
    unittest.main(verbosity=2)
