#!/usr/bin/env python3
"""Runs clang-tidy-14 over src/, or over the files given, with the flags of a GCC build made clean for clang.

Without files it checks the unity sources, which read headers once for several files: all of them, or with --since those
of which a file, or a header that it includes itself, is another one than at that commit.
"""
import argparse
import concurrent.futures
import json
import os
import pathlib
import shlex
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent


def clean(command):
    """Puts clang in the place of the launcher and GCC, and adds tidy-vector.h, which says why."""
    words = shlex.split(command)
    compiler = next(i for i, word in enumerate(words) if pathlib.Path(word).name in ("c++", "g++", "gcc", "clang++"))
    return ["clang++", *words[compiler + 1:], "-include", str(ROOT / "scripts/tidy-vector.h"), "-Wno-unknown-warning-option"]


def clean_database(build, out):
    """Writes the cleaned compile_commands.json of this project's sources and returns their paths."""
    entries = []
    for entry in json.loads((build / "compile_commands.json").read_text()):
        path = pathlib.Path(entry["directory"], entry["file"]).resolve()
        unity = path.parent.name == "Unity" and path.parent.parent.name.startswith("veilnet")
        if path.is_relative_to(ROOT / "src") or unity:
            entries.append({"directory": entry["directory"], "file": str(path), "arguments": clean(entry["command"])})
    out.mkdir(parents=True, exist_ok=True)
    (out / "compile_commands.json").write_text(json.dumps(entries, indent=1))
    return [pathlib.Path(entry["file"]) for entry in entries]


def changed_since(commit):
    """The paths that differ from that commit; None, for everything, where the commit is not there or the checks differ."""
    done = subprocess.run(["git", "diff", "--name-only", "--diff-filter=d", commit, "--", "src", ".clang-tidy",
                           "scripts/tidy-vector.h"], cwd=ROOT, text=True, capture_output=True)
    paths = done.stdout.splitlines()
    return paths if done.returncode == 0 and all(path.startswith("src/") for path in paths) else None


def is_touched(source, changed):
    """Whether the source or a header that it includes itself is among the changed paths."""
    if str(source.relative_to(ROOT)) in changed:
        return True
    text = source.read_text()
    return any(f'#include "{path.removeprefix("src/")}"' in text for path in changed)


def sources_of(path):
    """The files that a unity source includes, or the file itself."""
    if path.parent.name != "Unity":
        return {path}
    return {pathlib.Path(line.split('"')[1]) for line in path.read_text().splitlines() if line.startswith("#include")}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--build", type=pathlib.Path, help="a folder to configure the build in")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--since", metavar="COMMIT", help="a commit; where the clone has none of this name, everything is checked")
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    options.build = options.build or ROOT / "build" / ("tidy-files" if options.files else "tidy")
    configure = subprocess.run(["cmake", "-S", ROOT, "-B", options.build, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=Release",
                                f"-DVEILNET_UNITY={'OFF' if options.files else 'ON'}"],
                               text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if configure.returncode:
        sys.exit(f"tidy: cannot configure {options.build}:\n{configure.stdout}")

    database = options.build / "database"
    known = clean_database(options.build, database)
    changed = changed_since(options.since) if options.since else None
    if changed is not None and not options.files:
        known = [path for path in known if any(is_touched(source, changed) for source in sources_of(path))]
        if not known:
            print(f"tidy: no source has changed since {options.since}")
            return 0
    files = [path.resolve() for path in options.files] or known
    unknown = [str(path) for path in files if path not in known]
    if unknown or not files:
        sys.exit(f"tidy: not compiled in {options.build}: {' '.join(unknown) or 'any file of src/'}")

    def tidy(path):
        start = time.monotonic()
        # A unity source includes .cpp files on purpose.
        done = subprocess.run(["clang-tidy-14", "--quiet", "--checks=-bugprone-suspicious-include", "-p", str(database), str(path)], cwd=ROOT,
                              text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return path, done, time.monotonic() - start

    failed = []
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        # The slow files, those with LibTorch, start first.
        order = sorted(files, key=lambda path: path.parent.name != "Unity" and "torch/" not in path.read_text())
        for result in concurrent.futures.as_completed([pool.submit(tidy, path) for path in order]):
            path, done, seconds = result.result()
            print(f"tidy: {path.relative_to(ROOT)} {seconds:.0f} s{' FAILED' if done.returncode else ''}", flush=True)
            if done.returncode:
                failed.append(path)
                # Standard error only counts suppressed warnings, unless the file could not be checked at all.
                print(done.stdout or done.stderr, flush=True)
    print(f"tidy: {len(files) - len(failed)} of {len(files)} files clean")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
