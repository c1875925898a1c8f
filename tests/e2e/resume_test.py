"""Kills a training with SIGKILL at a random step, resumes it, and expects the weights of an uninterrupted run, bit for bit.

usage: resume_test.py VEILNET
"""
import json
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
import unittest

VEILNET = sys.argv.pop(1)
SETTINGS = """
name = "t"
checkpoint_minutes = 0.0
[compute]
threads = 1
[data]
train_size = 400
test_size = 20
[classifier]
depth = 8
epochs = 4
batch_size = 16
[phi]
epochs = 1
layer = "relu1_1"
[transform]
width = 2
epochs = 3
batch_size = 16
encoder_epochs = 1
[attack]
width = 2
epochs = 3
batch_size = 16
"""


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
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.root = pathlib.Path(self.folder.name)
        self.config = self.root / "t.toml"
        self.config.write_text(SETTINGS)

    def command(self, words, runs, *flags):
        return [VEILNET, *words, "--config", str(self.config), "--set", f"runs={runs}", *flags]

    def run_to_end(self, words, runs, *flags):
        done = subprocess.run(self.command(words, runs, *flags), capture_output=True, text=True)
        self.assertEqual(done.returncode, 0, done.stderr)

    def stop_at_random_step(self, words, runs, run, total_steps, how):
        # Steps are logged every 20; stopping a random while after a random one of them hits any step.
        target = random.randrange(0, total_steps - 40)
        process = subprocess.Popen(self.command(words, runs), stderr=subprocess.PIPE, text=True)
        # A kill before the first checkpoint would leave nothing to resume.
        while process.poll() is None and (steps_logged(run) < target or not (run / "checkpoint" / "state.pt").exists()):
            time.sleep(0.002)
        time.sleep(random.uniform(0, 0.02))
        process.send_signal(how)
        stderr = process.communicate()[1]
        self.assertFalse((run / "model.safetensors").exists(), "the training ended before it could be stopped")
        return process.returncode, stderr

    def check(self, words, name, total_steps, prepare=(), how=signal.SIGKILL):
        seed = random.randrange(1 << 30)
        random.seed(seed)
        print(f"seed {seed}")
        models = []
        for kind in ("whole", "stopped"):
            # The configuration holds the runs folder, and a model its configuration's hash, so both must use the same one.
            runs = self.root / "runs"
            for words_before in prepare:
                self.run_to_end(words_before, runs)
            run = runs / "t" / name
            if kind == "stopped":
                code, stderr = self.stop_at_random_step(words, runs, run, total_steps, how)
                if how == signal.SIGINT:
                    self.assertEqual(code, 1)
                    self.assertIn("--resume", stderr)
                else:
                    self.assertEqual(code, -how)
                self.run_to_end(words, runs, "--resume")
                self.assertTrue(any(json.loads(l).get("event") == "resume" for l in (run / "log.jsonl").read_text().splitlines()))
            else:
                self.run_to_end(words, runs)
            models.append((run / "model.safetensors").read_bytes())
            runs.rename(self.root / kind)
        self.assertEqual(models[0], models[1])

    def test_classifier_after_kill(self):
        self.check(["train", "classifier"], "classifier", 22 * 4)

    def test_classifier_after_interrupt(self):
        self.check(["train", "classifier"], "classifier", 22 * 4, how=signal.SIGINT)

    def test_transform_after_kill(self):
        self.check(["train", "transform"], "transform-a0.005", 22 * 3, prepare=[["train", "classifier"]])

    def test_attack_after_kill(self):
        self.check(["attack", "itn"], "transform-a0.005/attack-itn", 22 * 3, prepare=[["train", "classifier"], ["train", "transform"]])


if __name__ == "__main__":
    unittest.main(verbosity=2)
