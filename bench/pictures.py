#!/usr/bin/env python3
"""Pictures per second and memory of `veilnet protect` and `veilnet encrypt` (LE) over a folder of small PNG files.

usage: pictures.py VEILNET H [--before OLDER_VEILNET] [--rounds N] [--result FILE.json]
VEILNET: build/release/veilnet; H: a transformation network (model.safetensors).

COUNT files of 32x32 pixels and a tenth of them; each figure is the median of the rounds, in which the programs take
turns, reading, writing and start included. Each run must write every file; `verify` must find what was protected to be h's, and what was encrypted
must decrypt to what encrypts to the same files.
"""
import argparse
import json
import os
import pathlib
import platform
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time
import zlib

COUNT, SIDE = 10_000, 32


def png(rows, side=SIDE):
    """A PNG file of RGB rows, each behind a byte 0."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def picture(seed):
    """A picture of smooth colours with a little noise, as photographs have."""
    draw = random.Random(seed)
    base, slope_x, slope_y = (([draw.randrange(40, 160) for _ in "rgb"]), draw.uniform(0, 2), draw.uniform(0, 2))
    return png(b"".join(b"\0" + bytes(int(base[c] + slope_x * x + slope_y * y + draw.random() * 8) & 255
                                      for x in range(SIDE) for c in range(3)) for y in range(SIDE)))


def run(words):
    """Seconds and the largest memory in MB."""
    begin = time.monotonic()
    process = subprocess.Popen([*map(str, words)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    stderr = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"pictures: {words} failed:\n{stderr[-2000:]}")
    return time.monotonic() - begin, usage.ru_maxrss / 1024


def check(veilnet, folder, root, command, flags):
    made, back, again = root / "made", root / "back", root / "again"
    run([veilnet, command, folder, *flags, "-o", made])
    if command == "protect":
        run([veilnet, "verify", folder, made, *flags, "--max-ssim", 1])
    else:
        run([veilnet, "decrypt", made, *flags, "-o", back])
        run([veilnet, command, back, *flags, "-o", again])
        if any(path.read_bytes() != (again / path.name).read_bytes() for path in made.iterdir()):
            sys.exit("pictures: what was encrypted does not decrypt to what it was")
    for path in (made, back, again):
        shutil.rmtree(path, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("veilnet", type=pathlib.Path)
    parser.add_argument("h", type=pathlib.Path)
    parser.add_argument("--before", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--result", type=pathlib.Path)
    o = parser.parse_args()
    h = o.h.resolve()
    programs = {"": o.veilnet.resolve()} | ({"_before": o.before.resolve()} if o.before else {})
    metrics = {}
    with tempfile.TemporaryDirectory() as name:
        root = pathlib.Path(name)
        folders = {"all": root / "all", "tenth": root / "tenth"}
        for folder in folders.values():
            folder.mkdir()
        for i in range(COUNT):
            data = picture(i)
            (folders["all"] / f"{i:05}.png").write_bytes(data)
            if i % 10 == 0:
                (folders["tenth"] / f"{i:05}.png").write_bytes(data)
        subprocess.run([programs[""], "keygen", "--scheme", "le", "-o", root / "key"], check=True, capture_output=True)
        for command, flags in (("protect", ["--model", h]), ("encrypt", ["--key", root / "key"])):
            seconds, memory = {}, {}
            check(programs[""], folders["tenth"], root, command, flags)
            for _ in range(o.rounds):
                for version, program in programs.items():
                    for part, folder in folders.items():
                        out = root / f"out{version}"
                        shutil.rmtree(out, ignore_errors=True)
                        took, megabytes = run([program, command, folder, *flags, "-o", out])
                        files = sum(1 for _ in out.iterdir())
                        if files != len(list(folder.iterdir())):
                            sys.exit(f"pictures: {command} wrote {files} files")
                        seconds.setdefault((version, part), []).append(took)
                        memory.setdefault((version, part), []).append(megabytes)
            for version in programs:
                metrics[f"{command}_per_s{version}"] = COUNT / statistics.median(seconds[version, "all"])
                metrics[f"{command}_mb{version}"] = statistics.median(memory[version, "all"])
                metrics[f"{command}_mb_tenth{version}"] = statistics.median(memory[version, "tenth"])
            if len(programs) == 2:
                metrics[f"{command}_vs_before"] = metrics[f"{command}_per_s"] / metrics[f"{command}_per_s_before"]
            metrics[f"{command}_memory_growth"] = metrics[f"{command}_mb"] / metrics[f"{command}_mb_tenth"]
    header = h.read_bytes()[8:8 + struct.unpack("<Q", h.read_bytes()[:8])[0]]
    width = json.loads(json.loads(header)["__metadata__"]["parameters"])["base_width"]
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    flags = next(line for line in cpu.splitlines() if line.startswith("flags")).split()
    isa = "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else platform.machine()
    version = {key: subprocess.run([program, "--version"], text=True, capture_output=True).stdout for key, program in programs.items()}
    commit = {key: text.split("(")[-1].split(")")[0] for key, text in version.items()}
    before = f"; before: commit {commit['_before']}" if "_before" in commit else ""
    record = {"experiment": "bench-pictures", "config": "bench/pictures.py",
              "note": f"{COUNT} PNG files of {SIDE}x{SIDE}, h a U-Net of width {width}; start, reading and writing included; medians of {o.rounds}. "
                      f"memory_growth: {COUNT} files to a tenth of them{before}.",
              "commit": commit[""],
              "machine": {"device": "cpu (" + next(line.split(": ")[1] for line in cpu.splitlines() if line.startswith("model name")) + ")",
                          "isa": isa, "threads": str(len(os.sched_getaffinity(0)))},
              "metrics": {key: round(value, 3) if isinstance(value, float) else value for key, value in sorted(metrics.items())}}
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if o.result:
        o.result.write_text(text)


if __name__ == "__main__":
    main()
