#!/usr/bin/env python3
"""How fast psi trains on an idle machine and beside others' work, started by `veilnet` (which sets how OpenMP waits)
and by `veilnet-lab` alone (the system's default).

usage: busy.py VEILNET [RESULT.json]      VEILNET: build/release/veilnet, with veilnet-lab beside it

Both train the same few steps first and must end with the same weights. Then each figure is the median of ROUNDS
runs in turn. Needs an otherwise idle machine of two or more cores, and python3-numpy for the last neighbour.
"""
import json
import os
import pathlib
import platform
import signal
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS, SECONDS, LINES = 3, 8, 2
SETTINGS = ["data.source=synthetic", "data.train_size=2000", "data.test_size=100", "classifier.batch_size=32",
            "compute.precision=auto"]
NUMPY = "import numpy as np\na = np.ones((1500, 1500), np.float32)\nwhile True: a @ a"


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    veilnet = pathlib.Path(sys.argv[1]).resolve()
    programs = {"new": veilnet, "old": veilnet.with_name("veilnet-lab")}
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("OMP_", "GOMP_", "OPENBLAS_"))}
    with tempfile.TemporaryDirectory() as folder:
        runs = pathlib.Path(folder)

        def train(program, name, *more):
            sets = [word for s in (*SETTINGS, f'runs="{runs}"', f'name="{name}"', *more) for word in ("--set", s)]
            command = [programs[program], "train", "classifier", "--force", *sets]
            return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def rates(name):
            log = runs / name / "classifier/log.jsonl"
            lines = log.read_text().splitlines() if log.exists() else []
            return [v for v in (json.loads(line).get("images_per_s") for line in lines) if v]

        def measure(program, neighbour):
            names, others = ["one"], []
            for name in ("one", "two"):
                log = runs / name / "classifier/log.jsonl"
                log.unlink(missing_ok=True)
            if neighbour == "loops":
                others = [subprocess.Popen(["sh", "-c", "while :; do :; done"]) for _ in range(2)]
            if neighbour == "numpy":
                others = [subprocess.Popen(["/usr/bin/python3", "-c", NUMPY], env=environment)]
            trainings = [train(program, "one", "classifier.epochs=500")]
            if neighbour == "training":
                names.append("two")
                trainings.append(train(program, "two", "classifier.epochs=500"))
            try:
                deadline = time.monotonic() + 60
                while any(len(rates(name)) < 1 for name in names) and time.monotonic() < deadline:
                    time.sleep(0.2)
                time.sleep(SECONDS)
                while any(len(rates(name)) < 1 + LINES for name in names) and time.monotonic() < deadline:
                    time.sleep(0.2)
                # The first line holds the start. One that does not get on at all is a figure too.
                return min(statistics.mean(rates(name)[1:] or [0]) for name in names)
            finally:
                for process in trainings:
                    process.send_signal(signal.SIGINT)
                for process in others:
                    process.kill()
                for process in trainings + others:
                    process.wait()

        weights = {}
        for program in programs:
            train(program, "same-" + program, "classifier.epochs=1").wait()
            weights[program] = json.loads((runs / ("same-" + program) / "classifier/run.json").read_text())["result"]
        if weights["new"] != weights["old"]:
            sys.exit(f"busy: the two programs trained different weights: {weights}")

        speed = {}
        for neighbour in ("idle", "loops", "training", "numpy"):
            figures = {program: [] for program in programs}
            for _ in range(ROUNDS):
                for program in programs:
                    figures[program].append(measure(program, neighbour))
            for program in programs:
                speed[program, neighbour] = statistics.median(figures[program])
                print(f"{program} {neighbour:9} {speed[program, neighbour]:8.1f} images/s", flush=True)

    metrics = {"idle_ratio": speed["new", "idle"] / speed["old", "idle"]}
    for key, neighbour in (("busy_loops", "loops"), ("second_training", "training"), ("numpy", "numpy")):
        metrics[key + "_ratio"] = speed["new", neighbour] / speed["new", "idle"]
        metrics[key + "_ratio_system_default"] = speed["old", neighbour] / speed["old", "idle"]
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    isa = "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else platform.machine()
    version = subprocess.run([veilnet, "--version"], text=True, capture_output=True).stdout
    processor = next(l.split(": ")[1] for l in flags.splitlines() if l.startswith("model name"))
    record = {"experiment": "bench-busy", "config": "bench/busy.py",
              "note": "psi (ResNet-20), batches of 32, precision auto; medians. Ratios to the same program on the idle machine; of two "
                      "trainings the slower one counts; idle_ratio: veilnet to veilnet-lab alone.",
              "commit": version.split("(")[-1].split(")")[0],
              "machine": {"device": f"cpu ({processor})", "threads": str(os.cpu_count()),
                          "instruction_set": isa},
              "metrics": {k: round(v, 4) for k, v in metrics.items()}}
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if len(sys.argv) == 3:
        pathlib.Path(sys.argv[2]).write_text(text)


if __name__ == "__main__":
    main()
