"""Trains psi, h and the ITN-Attack with several processes from the outside: they leave what one leaves, end together on a signal, and notice
at once that one of them was killed. tests/CMakeLists.txt runs bench/data_parallel.cpp for how exactly their weights are those of one.

usage: processes_test.py VEILNET
"""
import json
import os
import pathlib
import shutil
import signal
import socket
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
[compute]
threads = 1
[data]
train_size = 260
test_size = 20
[classifier]
depth = 8
lr = 0.02
epochs = 2
batch_size = 64
[phi]
file = "PHI"
layer = "relu1_1"
[transform]
width = 2
epochs = 2
batch_size = 64
encoder_epochs = 1
[attack]
width = 2
epochs = 2
batch_size = 64
"""
LONG = ["--set", "classifier.epochs=2000"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def events(log, event):
    return [line for line in map(json.loads, log.read_text().splitlines()) if line.get("event") == event]


class Processes(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="veilnet-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.config = self.folder / "t.toml"
        self.config.write_text(SETTINGS.replace("PHI", str(drawn_phi.write(self.folder / "phi.safetensors"))))
        self.started = []
        self.addCleanup(lambda: [process.kill() for process in self.started if process.poll() is None])

    def start(self, size, *arguments, runs="together", prefixes=None, host="127.0.0.1", variables=None):
        port = free_port()
        processes = []
        for rank in range(size):
            names = variables or {"RANK": "{rank}", "WORLD_SIZE": "{size}", "MASTER_ADDR": "{host}", "MASTER_PORT": "{port}"}
            environment = os.environ | {name: text.format(rank=rank, size=size, host=host, port=port) for name, text in names.items()}
            environment["OMP_NUM_THREADS"] = "1"
            command = [VEILNET, *arguments, "--config", str(self.config), "--set", f'runs="{self.folder / runs}"']
            processes.append(subprocess.Popen((prefixes[rank] if prefixes else []) + command, env=environment, text=True,
                                              stdout=subprocess.PIPE, stderr=subprocess.PIPE))
        self.started += processes
        return processes

    def run_all(self, size, *arguments, status=0, **options):
        ends = [(process, *process.communicate(timeout=300)) for process in self.start(size, *arguments, **options)]
        for process, out, err in ends:
            self.assertEqual(process.returncode, status, out + err)
        return [(out, err) for _, out, err in ends]

    def one(self, *arguments):
        command = [VEILNET, *arguments, "--config", str(self.config), "--set", f'runs="{self.folder / "alone"}"']
        subprocess.run(command, check=True, capture_output=True, timeout=300)

    def wait_for_steps(self, log, count=20):
        end = time.monotonic() + 120
        while not (log.exists() and f'"step":{count}' in log.read_text()):
            self.assertLess(time.monotonic(), end, "no steps are logged")
            time.sleep(0.1)

    def test_they_leave_what_one_leaves(self):
        for command, run in (["train", "classifier"], "classifier"), (["train", "transform"], "transform-a0.005"), \
                (["attack", "itn"], "transform-a0.005/attack-itn"):
            (_, _), (out, err) = self.run_all(2, *command)
            self.assertEqual(out + err, "", "process 1 says nothing")
            self.one(*command)
            alone, together = (self.folder / runs / "t" / run for runs in ("alone", "together"))
            self.assertEqual(sorted(p.name for p in together.iterdir()), sorted(p.name for p in alone.iterdir()))
            # Before rounding has been multiplied over many steps (a low lr helps); tests of the weights themselves are in float64.
            first = [events(folder / "log.jsonl", "validation")[0]["figures"]["loss"] for folder in (alone, together)]
            self.assertAlmostEqual(first[0], first[1], delta=0.02 * abs(first[0]))
            records = [json.loads((folder / "run.json").read_text()) for folder in (alone, together)]
            self.assertEqual(records[1]["state"], "finished")
            self.assertEqual(records[1]["settings"], records[0]["settings"])
            self.assertEqual(records[1]["machine"]["processes"], "2")
            self.assertEqual(len(events(together / "log.jsonl", "start")), 1, "one process writes the log")

    def killed(self, size, victim):
        processes = self.start(size, "train", "classifier", *LONG)
        folder = self.folder / "together/t/classifier"
        self.wait_for_steps(folder / "log.jsonl")
        processes[victim].kill()
        begin = time.monotonic()
        errors = [process.communicate(timeout=60)[1] for process in processes]
        self.assertLess(time.monotonic() - begin, 10)
        for rank, process in enumerate(processes):
            if rank != victim:
                self.assertEqual(process.returncode, 1, errors[rank])
                self.assertIn("another process has ended", errors[rank])
                self.assertIn("--resume", errors[rank])
        return folder

    def test_a_killed_process_ends_all_and_the_rest_goes_on_alone(self):
        folder = self.killed(4, victim=2)
        self.assertTrue((folder / "checkpoint/state.pt").exists())
        # One process alone goes on from there.
        process = self.start(1, "train", "classifier", "--resume", *LONG)[0]
        end = time.monotonic() + 120
        while not (resumed := events(folder / "log.jsonl", "resume")):
            self.assertLess(time.monotonic(), end)
            time.sleep(0.1)
        process.terminate()
        process.communicate(timeout=60)
        self.assertGreaterEqual(resumed[0]["step"], 20)

    def test_without_the_first_process_the_others_end_as_well(self):
        self.killed(2, victim=0)

    def test_one_that_stands_still_is_waited_for_as_long_as_is_said(self):
        processes = self.start(2, "train", "classifier", *LONG, "--set", "compute.peer_seconds=10")
        folder = self.folder / "together/t/classifier"
        self.wait_for_steps(folder / "log.jsonl")
        processes[1].send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        error = processes[0].communicate(timeout=120)[1]
        self.assertLess(time.monotonic() - begin, 60, "not the 300 s of the meeting")
        self.assertEqual(processes[0].returncode, 1, error)
        self.assertIn("does not answer", error)
        self.assertIn("--resume", error)
        self.assertTrue((folder / "checkpoint/state.pt").exists())
        processes[1].kill()
        processes[1].communicate()

    def test_a_signal_to_one_ends_all_after_the_same_step(self):
        processes = self.start(2, "train", "classifier", *LONG)
        folder = self.folder / "together/t/classifier"
        self.wait_for_steps(folder / "log.jsonl")
        processes[1].send_signal(signal.SIGTERM)
        errors = [process.communicate(timeout=60)[1] for process in processes]
        for error in errors:
            self.assertIn("interrupted at step", error)
        step = [error.split("interrupted at step ")[1].split()[0] for error in errors]
        self.assertEqual(step[0], step[1])
        self.assertEqual([process.returncode for process in processes], [143, 143])
        self.assertTrue((folder / "checkpoint/state.pt").exists())

    def test_mpirun_and_srun_are_understood_alike(self):
        host = {"MASTER_PORT": "{port}"}
        mpirun = {"OMPI_COMM_WORLD_RANK": "{rank}", "OMPI_COMM_WORLD_SIZE": "{size}", "OMPI_COMM_WORLD_LOCAL_SIZE": "{size}"}
        srun = {"SLURM_STEP_ID": "0", "SLURM_PROCID": "{rank}", "SLURM_NTASKS": "{size}", "SLURM_STEP_NODELIST": "localhost"}
        for runs, variables in ("mpirun", mpirun), ("srun", srun):
            self.run_all(2, "train", "classifier", runs=runs, variables=variables | host)
            record = json.loads((self.folder / runs / "t/classifier/run.json").read_text())
            self.assertEqual(record["machine"]["processes"], "2")

    def test_what_several_cannot_do_is_refused(self):
        for arguments, said, status in [
                (["reproduce"], "for one process", 2),
                (["train", "classifier", "--set", "classifier.batch_size=1"], "there are 2 processes", 2),
                (["train", "classifier", "--dry-run"], "for one process", 2)]:
            for out, err in self.run_all(2, *arguments, status=status):
                self.assertIn(said, out + err)

    def test_what_the_first_refuses_all_refuse(self):
        self.run_all(2, "train", "classifier")
        for _, err in self.run_all(2, "train", "classifier", status=1):
            self.assertIn("replace it with --force", err)

    def test_two_machines(self):
        """Each process in a network namespace of its own, joined by a virtual cable."""
        made = []

        def ip(*arguments):
            done = subprocess.run(["ip", *arguments], capture_output=True, text=True)
            if done.returncode:
                self.skipTest(f"ip {' '.join(arguments)}: {done.stderr.strip()}")

        if not shutil.which("ip"):
            self.skipTest("there is no ip (iproute2)")
        names = [f"veilnet{os.getpid()}{side}" for side in "ab"]
        self.addCleanup(lambda: [subprocess.run(["ip", "netns", "del", name], capture_output=True) for name in made])
        for name in names:
            ip("netns", "add", name)
            made.append(name)
        ip("link", "add", "cable0", "netns", names[0], "type", "veth", "peer", "name", "cable0", "netns", names[1])
        for i, name in enumerate(names):
            ip("-n", name, "addr", "add", f"10.99.0.{i + 1}/24", "dev", "cable0")
            ip("-n", name, "link", "set", "cable0", "up")
            ip("-n", name, "link", "set", "lo", "up")
        self.run_all(2, "train", "classifier", host="10.99.0.1", prefixes=[["ip", "netns", "exec", name] for name in names])
        record = json.loads((self.folder / "together/t/classifier/run.json").read_text())
        self.assertEqual(record["state"], "finished")


if __name__ == "__main__":
    unittest.main()
