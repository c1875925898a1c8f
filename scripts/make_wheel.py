#!/usr/bin/env python3
"""Packs the built Python module and its stub as a wheel, which is a zip file with three lists in it (PEP 427). Needs no network.

usage: make_wheel.py --version VERSION --output FOLDER MODULE.so STUB.pyi
"""
import argparse
import base64
import hashlib
import pathlib
import sys
import sysconfig
import zipfile


def tag():
    python = f"cp{sys.version_info.major}{sys.version_info.minor}"
    return f"{python}-{python}-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"


def wheel_files(version, module, stub):
    info = f"veilnet-{version}.dist-info"
    files = {
        module.name: module.read_bytes(),
        "veilnet-stubs/__init__.pyi": stub.read_bytes(),
        f"{info}/METADATA": (f"Metadata-Version: 2.1\nName: veilnet\nVersion: {version}\nRequires-Python: >=3.9\nRequires-Dist: numpy\n"
                             "Summary: Visual protection of pictures: protect, classify, encrypt, verify\n").encode(),
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: make_wheel.py\nRoot-Is-Purelib: false\nTag: {tag()}\n".encode(),
    }
    lines = []
    for name, data in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(data)}\n")
    files[f"{info}/RECORD"] = ("".join(lines) + f"{info}/RECORD,,\n").encode()
    return files


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    parser.add_argument("module", type=pathlib.Path)
    parser.add_argument("stub", type=pathlib.Path)
    o = parser.parse_args()
    o.output.mkdir(parents=True, exist_ok=True)
    path = o.output / f"veilnet-{o.version}-{tag()}.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for name, data in wheel_files(o.version, o.module, o.stub).items():
            wheel.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED)
    print(path)


if __name__ == "__main__":
    main()
