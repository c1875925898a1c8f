#!/usr/bin/env python3
"""What a training of h costs in time and memory against its width, batch, threads and precision: the cost curve.

usage: cost.py VEILNET PHI [RESULT.json]      VEILNET: build/release/veilnet; PHI: VGG weights (phi.file)

Each point is `veilnet reproduce --dry-run` on synthetic pictures of 32x32, which tries a few steps of every training;
the recipe is `quick` with a trained encoder. Pictures per second of h's training, its validations included, and the
most memory of the process up to and with it (MB). ROUNDS rounds in turn, medians. Needs an otherwise idle machine.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROUNDS = 3
POINT = {"width": 16, "batch_size": 128, "threads": 0, "precision": "float32"}  # the others differ in one
CURVES = {"width": [4, 8, 16, 32, 64], "batch_size": [32, 128, 512], "precision": ["float32", "bfloat16"]}


def cores():
    return len({tuple(pathlib.Path(f"/sys/devices/system/cpu/cpu{i}/topology/{part}").read_text()
                      for part in ("physical_package_id", "core_id"))
                for i in os.sched_getaffinity(0)})


def main():
    if len(sys.argv) not in (3, 4):
        sys.exit(__doc__)
    veilnet, phi = (pathlib.Path(word).resolve() for word in sys.argv[1:3])
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    curves = CURVES | {"threads": sorted({1, cores()})}
    points = []
    for key, values in curves.items():
        for value in values:
            point = POINT | {"threads": cores()} | {key: value}
            if point not in points and (value != "bfloat16" or "avx512_bf16" in flags):
                points.append(point)
    found = [[] for _ in points]
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "dry.json"
        for _ in range(ROUNDS):
            for point, figures in zip(points, found):
                sets = ["data.train_size=6000", "data.test_size=100", "classifier.batch_size=32", f'runs="{folder}"', f'phi.file="{phi}"',
                        f"transform.width={point['width']}", f"transform.batch_size={point['batch_size']}",
                        f"compute.threads={point['threads']}", f'compute.precision="{point["precision"]}"']
                command = [veilnet, "reproduce", "--dry-run", "--json", out, *(w for s in sets for w in ("--set", s))]
                done = subprocess.run(list(map(str, command)), capture_output=True, text=True)
                if done.returncode != 0:
                    sys.exit(f"cost: {point}: {done.stderr[-1000:]}")
                record = json.loads(out.read_text())
                h = next(t for t in record["trainings"] if t["title"].startswith("train h"))
                if h["batch_size"] != point["batch_size"]:
                    sys.exit(f"cost: {point}: the batch was {h['batch_size']}")
                figures.append((h["steps"] * h["batch_size"] / h["seconds"], h["peak_mb"]))
    metrics = {}
    for point, figures in zip(points, found):
        label = f"h_w{point['width']}_b{point['batch_size']}_t{point['threads']}_{point['precision']}"
        metrics[label + "_per_s"] = round(statistics.median(rate for rate, _ in figures), 1)
        metrics[label + "_mb"] = round(statistics.median(mb for _, mb in figures))
        print(f"{label:32} {metrics[label + '_per_s']:8.1f} pictures/s {metrics[label + '_mb']:6d} MB", flush=True)
    isa = "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else "other"
    processor = next(line.split(": ")[1] for line in flags.splitlines() if line.startswith("model name"))
    commit = subprocess.run([veilnet, "--version"], capture_output=True, text=True).stdout.split("(")[-1].split(")")[0]
    record = {"experiment": "bench-cost", "config": "bench/cost.py",
              "note": f"Pictures per second of h's training (recipe quick, pictures of 32x32, validations included) and the process's "
                      f"most memory up to and with it in MB, by width, batch, threads and precision; medians of {ROUNDS} rounds of a "
                      f"few steps each.",
              "commit": commit,
              "machine": {"device": f"cpu ({processor})", "threads": str(cores()), "instruction_set": isa},
              "metrics": metrics | {"isa": isa}}
    if len(sys.argv) == 4:
        pathlib.Path(sys.argv[3]).write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
