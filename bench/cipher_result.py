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


def medians(records):
    """Of the timings of each name over all rounds."""
    return {name: statistics.median(sum((record[name] for record in records), [])) for name in records[0]}


def processor():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    return found[1] if found else platform.processor()


def main():
    folder, commit = pathlib.Path(sys.argv[1]), sys.argv[2]
    rounds = [json.loads(path.read_text()) for path in sorted(folder.glob("veilnet-*.json"))]
    theirs = medians([json.loads(path.read_text()) for path in sorted(folder.glob("numpy-*.json"))])
    size = rounds[0]["bytes"]
    memcpy = statistics.median(sum((record["memcpy"] for record in rounds), []))
    metrics = {"memcpy_gb_per_s": size / memcpy / 1e9}
    metrics |= {f"numpy_{name}_gb_per_s": size / seconds / 1e9 for name, seconds in theirs.items()}
    levels = list(rounds[0]["seconds"])
    for level in levels:
        for name, seconds in medians([record["seconds"][level] for record in rounds]).items():
            metrics[f"{name}_gb_per_s_{level}"] = size / seconds / 1e9
            metrics[f"{name}_share_of_memcpy_{level}"] = memcpy / seconds
            if name in theirs:
                metrics[f"{name}_vs_numpy_{level}"] = theirs[name] / seconds
            if name == "etc":
                metrics[f"etc_vs_numpy_index_{level}"] = theirs["etc_index"] / seconds
            if name.endswith("_own_keys"):
                metrics[f"{name}_us_per_picture_{level}"] = seconds / (size / 3072) * 1e6
            print(f"{level:11} {name:16} {size / seconds / 1e9:7.2f} GB/s {100 * memcpy / seconds:5.0f} % of memcpy"
                  + (f" {theirs[name] / seconds:8.1f} x NumPy" if name in theirs else ""), file=sys.stderr)
    print(json.dumps({
        "experiment": "bench-cipher",
        "config": "bench/run-cipher.sh",
        "note": f"{size // 3072} noise pictures of 32x32, block size 4, same key unless the name says own_keys, one thread; medians. The last word "
                f"of a name is the instruction set; all were measured on this processor, the narrower ones by telling the code to use no wider ones. "
                "NumPy is the straightforward version of bench/cipher_numpy.py; every result was checked first, on every set.",
        "commit": commit,
        "machine": {"device": f"cpu ({processor()})", "instruction_sets": levels, "threads": "1", "NumPy": numpy.__version__,
                    "Python": platform.python_version()},
        "metrics": dict(sorted(metrics.items())),
    }, indent=1))


if __name__ == "__main__":
    main()
