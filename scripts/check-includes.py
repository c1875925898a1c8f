#!/usr/bin/env python3
"""Checks that the includes in src/ follow the dependency direction of docs/architecture.md.

    core <- image <- {data, cipher, model}        {cipher, model} <- protection
    model <- runtime <- service <- {http, rpc}    {runtime, data} <- nn <- train <- attack <- measure
    core <- remote; runtime, cipher, remote <- api (include/veilnet/)
    record <- report                              everything <- experiment <- cli/lab
                                                  http, remote, rpc, data <- cli/client

Also that a file that names torch:: includes one of LibTorch's headers, itself or through ours.
Prints every violation as file:line and exits 1 if there is one. Takes the folder to check, src/ by default.
"""
import pathlib
import re
import sys

# What each folder may include directly; what those include is allowed with them.
DIRECT = {
    "core": [],
    "image": ["core"],
    "data": ["image"],
    "cipher": ["image"],
    "model": ["image"],
    "protection": ["cipher", "model"],
    "runtime": ["model"],
    "api": ["runtime", "cipher", "remote"],  # include/veilnet/
    "service": ["runtime", "protection"],
    "http": ["service"],
    "remote": ["core"],
    "rpc": ["service"],
    "nn": ["runtime", "data", "protection"],
    "train": ["nn", "cipher"],
    "attack": ["train"],
    "measure": ["attack", "record"],
    "record": ["core"],
    "report": ["record", "image"],
    "experiment": ["measure", "report"],
    "cli": ["cipher"],  # what both programs share
    "cli/client": ["cli", "data", "http", "remote", "rpc"],
    "cli/lab": ["cli", "experiment", "protection"],
}

# Third-party headers that only some folders may see: (name, how the include starts, folders).
CONFINED = [
    ("LibTorch", ("torch/", "ATen/", "c10/", "caffe2/"), {"nn", "train", "attack", "measure", "experiment", "cli/lab"}),
    ("oneDNN", ("dnnl", "oneapi/"), {"runtime"}),
    ("the HTTP library", ("boost/beast", "boost/asio"), {"http", "remote"}),
    ("gRPC", ("grpc/", "grpcpp/", "google/protobuf/", "open_inference_grpc"), {"rpc"}),
]

# Project headers that a folder must not see, not even through others: an attack must not be able to name the key that it attacks, its seed,
# what holds it, or where test pictures come from.
KEPT_FROM = {
    "attack": {"protection/protection.h", "nn/protection.h", "train/scheme.h", "cipher/key_file.h", "data/sources.h"},
}

INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]')
TORCH = re.compile(r"\b(?:torch|at|c10)::")
COMMENT = re.compile(r"//.*")


def folder_of(path):
    """The row of DIRECT for a path below src, or None: cli/lab/a.cpp is in cli/lab, cli/a.cpp in cli."""
    parts = path.split("/")[:-1]
    return next((row for n in range(len(parts), 0, -1) if (row := "/".join(parts[:n])) in DIRECT), None)


def allowed_folders(folder):
    reach = {folder}
    for below in DIRECT[folder]:
        reach |= allowed_folders(below)
    return reach


def problem(path, folder, quote, header):
    """Why this file of this folder may not include this header, or None."""
    for name, prefixes, folders in CONFINED:
        if header.startswith(prefixes):
            return None if folder in folders else f"{name} belongs in {', '.join(sorted(folders))} only"
    if target := folder_of(header):
        if target not in allowed_folders(folder):
            return f"{folder} must not depend on {target}"
    elif quote == '"' and (path.parent / header).exists():  # generated files have no folder
        return "a project header is named by its path below src, as in \"core/error.h\""
    return None


def includes(path):
    return [found[2] for line in path.read_text().splitlines() if (found := INCLUDE.match(line))]


def seen_headers(root, path, seen):
    """Adds to `seen` every header that a file includes, itself or through the project's headers."""
    for header in includes(path):
        if header in seen:
            continue
        seen.add(header)
        if (root / header).is_file():
            seen_headers(root, root / header, seen)
    return seen


def violations(root):
    for path in sorted(p for p in root.rglob("*") if p.suffix in (".h", ".cpp", ".cu", ".cuh")):
        folder = folder_of(str(path.relative_to(root)))
        if folder is None:
            yield f"{path}:1: folder {path.parent.name} has no place in the dependency table of scripts/check-includes.py"
            continue
        lines = path.read_text().splitlines()
        for number, line in enumerate(lines, 1):
            if found := INCLUDE.match(line):
                if why := problem(path, folder, *found.groups()):
                    yield f"{path}:{number}: includes {found[2]}: {why}"
        seen = seen_headers(root, path, set())
        for header in sorted(KEPT_FROM.get(folder, set()) & seen):
            yield f"{path}:1: sees {header}, which is kept from {folder}"
        used = next((n for n, line in enumerate(lines, 1) if TORCH.search(COMMENT.sub("", line))), None)
        if used and not any(header.startswith(CONFINED[0][1]) for header in seen):
            yield f"{path}:{used}: uses LibTorch and includes none of its headers, nor one of ours that does"


def main():
    root = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent / "src"
    if not root.is_dir():
        sys.exit(f"check-includes: no folder {root}")
    found = list(violations(root))
    print("\n".join(found), end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
