#!/usr/bin/env python3
"""Several trainings that differ in their seeds alone, as one record: each metric as {mean, spread, n}.

usage: seeds.py RECORD.json RECORD.json ... -o RESULT.json

The spread is the standard deviation between the trainings (n - 1). Records of other settings, data or commits, or of a
seed that is there twice, are refused; so is a RESULT that exists, without --force.
"""
import argparse
import json
import os
import pathlib
import re
import statistics
import sys

# What may differ in a configuration: seeds, but for that of the split, and where the run lies.
FREE = re.compile(r"^(seed|name|runs) = .*$\n?", re.MULTILINE)
SEED = re.compile(r"^seed = (\d+)$", re.MULTILINE)


def number(value):
    return value["mean"] if isinstance(value, dict) else value


def merged(records):
    """One record of several; records: path -> record. Ends the program for what does not go together."""
    (first_path, first), *others = records.items()
    for path, record in records.items():
        for key in ("experiment", "config", "commit", "data", "machine", "metrics"):
            if key not in record:
                sys.exit(f"{path}: has no {key}; allowed is a record of `veilnet reproduce`")
    for path, record in others:
        for key in ("commit", "data"):
            if record[key] != first[key]:
                sys.exit(f"{path}: {key} is {record[key]}, that of {first_path} {first[key]}")
        ours, theirs = (FREE.sub("", r["config"]).splitlines() for r in (first, record))
        if ours != theirs:
            apart = [line for line in theirs if line not in ours] or [line for line in ours if line not in theirs]
            sys.exit(f"{path}: the configuration differs from that of {first_path}: {', '.join(apart)}")
    # Of psi, of h and of the attack, which may have one each.
    seeds = ["/".join(dict.fromkeys(SEED.findall(record["config"]))) for record in records.values()]
    if len(set(seeds)) != len(seeds):
        sys.exit(f"the seeds are {', '.join(seeds)}; each is to be another")
    names = [n for n in first["metrics"] if all(n in record["metrics"] for record in records.values())]
    metrics = {}
    for name in names:
        values = [number(record["metrics"][name]) for record in records.values()]
        metrics[name] = {"mean": statistics.fmean(values), "spread": statistics.stdev(values), "n": len(values)}
    return {"experiment": first["experiment"] + "-seeds", "config": first["config"], "commit": first["commit"],
            "machine": first["machine"], "data": first["data"], "seeds": seeds,
            "note": f"Mean and standard deviation of {len(seeds)} trainings, seeds {', '.join(sorted(seeds))}.",
            "metrics": metrics}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("records", nargs="+", type=pathlib.Path)
    parser.add_argument("-o", "--output", required=True, type=pathlib.Path)
    parser.add_argument("--force", action="store_true", help="replace RESULT")
    arguments = parser.parse_args()
    if len(arguments.records) < 2:
        sys.exit("seeds: one record has no spread; give two or more")
    if arguments.output.exists() and not arguments.force:
        sys.exit(f"{arguments.output}: exists; --force replaces it")
    records = {}
    for path in arguments.records:
        try:
            records[path] = json.loads(path.read_text())
        except (OSError, ValueError) as cause:
            sys.exit(f"{path}: {cause}")
    text = json.dumps(merged(records), indent=1) + "\n"
    partial = arguments.output.with_name(arguments.output.name + ".partial")
    partial.write_text(text)
    os.replace(partial, arguments.output)


if __name__ == "__main__":
    main()
