#!/usr/bin/env python3
"""Builds the fuzz targets with address and undefined sanitizers, runs them one after the other and
adds what they executed to results/fuzz.json.

Each target starts from fuzz/corpus/<target> and from what earlier runs found in
build/fuzz/corpus/<target>. A finding stays in build/fuzz/findings/<target>-* as long as its target
fails on it.
"""
import argparse
import json
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "fuzz"
FINDINGS, CORPUS = BUILD / "findings", BUILD / "corpus"
RECORD = ROOT / "results" / "fuzz.json"
NOTE = ("Executions that libFuzzer counted, added up over all runs so far, with address and "
        "undefined sanitizers and with toml++'s assertions. The commit is that of the last run.")
TARGETS = sorted(p.stem for p in (ROOT / "fuzz").glob("*.cpp") if p.stem != "replay")
LIMITS = ["-timeout=10", "-rss_limit_mb=2048", "-max_len=8192"]
# Memory that was freed is watched for as long as one execution takes; for longer it costs half of
# the executions.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": "quarantine_size_mb=16:malloc_context_size=8"}


def output_of(*command):
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.strip()


def build():
    if not shutil.which("clang++-14"):
        sys.exit("fuzz: there is no clang++-14: apt-get install clang-14 libclang-rt-14-dev")
    subprocess.run(["cmake", "--preset", "fuzz"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    subprocess.run(["cmake", "--build", "--preset", "fuzz", "--target", "fuzz_targets"],
                   cwd=ROOT, check=True)


def run(target, *arguments, output):
    return subprocess.run([BUILD / "fuzz" / f"fuzz_{target}", *LIMITS, *arguments],
                          env=ENVIRONMENT, stdout=output, stderr=output).returncode


def executions_in(log):
    """How many libFuzzer counted, be it to the end or to a finding."""
    counts = re.findall(r"^stat::number_of_executed_units:\s*(\d+)|^#(\d+)\t", log, re.M)
    return max((int(a or b) for a, b in counts), default=0)


def fuzz(target, seconds):
    """Runs one target; returns its executions. A finding that does not come again, such as the
    time of an execution while the machine stood still, is dropped and the run goes on."""
    corpus = CORPUS / target
    corpus.mkdir(parents=True, exist_ok=True)
    FINDINGS.mkdir(parents=True, exist_ok=True)
    log = BUILD / f"{target}.log"
    executions, end = 0, time.monotonic() + seconds
    while (left := round(end - time.monotonic())) > 0:
        with log.open("w") as output:
            code = run(target, f"-max_total_time={left}", "-print_final_stats=1",
                       f"-artifact_prefix={FINDINGS}/{target}-", f"-dict={ROOT}/fuzz/{target}.dict",
                       corpus, ROOT / "fuzz" / "corpus" / target, output=output)
        ran = executions_in(log.read_text(errors="replace"))
        executions += ran
        if open_findings(target) or code != 0 and ran == 0:
            print(f"fuzz: {target} ended with {code}: see {log}")
            break
    print(f"fuzz: {target}: {executions:,} executions", flush=True)
    return executions


def open_findings(target):
    """The findings that the target still fails on. The others are removed."""
    found = []
    for path in sorted(FINDINGS.glob(f"{target}-*")):
        if run(target, path, output=subprocess.DEVNULL):
            found.append(path)
        else:
            path.unlink()
    return found


def record(metrics):
    model = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    machine = {"device": f"cpu ({model[1] if model else platform.machine()})", "threads": "1",
               "compiler": output_of("clang++-14", "--version").split("\n")[0]}
    return {"experiment": "fuzz", "config": "scripts/fuzz.py", "note": NOTE,
            "commit": output_of("git", "describe", "--always", "--dirty"), "machine": machine,
            "metrics": metrics}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*", metavar="TARGET",
                        help=f"of {', '.join(TARGETS)}; all by default")
    parser.add_argument("--seconds", type=int, default=60, help="for each target (60)")
    parser.add_argument("--record", type=pathlib.Path, default=RECORD,
                        help="the file that the executions are added to (results/fuzz.json)")
    options = parser.parse_args()
    if unknown := set(options.targets) - set(TARGETS):
        parser.error(f"no target {', '.join(sorted(unknown))}; there are {', '.join(TARGETS)}")
    build()
    before = json.loads(options.record.read_text())["metrics"] if options.record.exists() else {}
    counts = {target: before.get(f"executions_{target}", 0) for target in TARGETS}
    for target in options.targets or TARGETS:
        counts[target] += fuzz(target, options.seconds)
    found = [path for target in TARGETS for path in open_findings(target)]
    for path in found:
        print(f"fuzz: open finding: {path}")
    metrics = {"executions": sum(counts.values()), "open_findings": len(found),
               **{f"executions_{target}": count for target, count in counts.items()}}
    options.record.write_text(json.dumps(record(metrics), indent=1) + "\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
