#!/usr/bin/env python3
"""Turns the timings in a folder (see run-cipher.sh) into a result record on standard output, and a table on standard error.

usage: cipher_result.py FOLDER COMMIT
"""
import json
import pathlib
import platform
import re
import statistics
import sys

import numpy


def pooled(folder, pattern, pick):
    times = {}
    for path in sorted(folder.glob(pattern)):
        for name, seconds in pick(json.loads(path.read_text())).items():
            times.setdefault(name, []).extend(seconds)
    return {name: statistics.median(seconds) for name, seconds in times.items()}


def processor():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.processor()


def main():
    folder, commit = pathlib.Path(sys.argv[1]), sys.argv[2]
    size = json.loads((folder / "veilnet-1.json").read_text())["bytes"]
    ours = pooled(folder, "veilnet-*.json", lambda record: record["seconds"])
    theirs = pooled(folder, "numpy-*.json", lambda record: record)
    speed = {name: size / seconds / 1e9 for name, seconds in ours.items()}
    metrics = {f"{name}_gb_per_s": value for name, value in speed.items()}
    metrics |= {f"numpy_{name}_gb_per_s": size / seconds / 1e9 for name, seconds in theirs.items()}
    metrics |= {f"{name}_vs_numpy": theirs[name] / ours[name] for name in ("le", "ele", "etc", "pe", "pe_shuffled")}
    metrics["etc_vs_numpy_index"] = theirs["etc_index"] / ours["etc"]
    metrics |= {f"{name}_vs_memcpy": ours["memcpy"] / ours[name] for name in ours if name != "memcpy"}
    pictures = size / 3072
    metrics |= {f"{name}_us_per_picture": ours[name] / pictures * 1e6 for name in ours if name.endswith("_own_keys")}
    print(json.dumps({
        "experiment": "bench-cipher",
        "config": "bench/run-cipher.sh",
        "note": f"{size // 3072} noise pictures of 32x32, block size 4, same key unless the name says own_keys, one thread; medians. NumPy is the "
                "straightforward version of bench/cipher_numpy.py; every result was checked first.",
        "commit": commit,
        "machine": {"device": f"cpu ({processor()})", "threads": "1", "NumPy": numpy.__version__, "Python": platform.python_version()},
        "metrics": dict(sorted(metrics.items())),
    }, indent=1))
    for name in sorted(ours):
        numpy_speed = f"{ours[name] and theirs[name] / ours[name]:8.1f} x NumPy" if name in theirs else ""
        print(f"{name:16} {speed[name]:7.2f} GB/s  {100 * speed[name] / speed['memcpy']:5.0f} % of memcpy {numpy_speed}", file=sys.stderr)


if __name__ == "__main__":
    main()
