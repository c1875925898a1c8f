#!/usr/bin/env python3
"""Exports the networks of the browser client, and writes what it says of them: models.json.

Models are names that models/index.json lists. h and the inverse network are exported as they are by `veilnet export`;
psi stays on the server, which must serve it under its name.
"""
import argparse
import json
import pathlib
import struct
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"


def card_of(path):
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(length))["__metadata__"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--veilnet", type=pathlib.Path, required=True, help="the program that exports")
    parser.add_argument("--output", type=pathlib.Path, required=True, help="the folder, build/web/models")
    parser.add_argument("--transform", default="cifar10-h")
    parser.add_argument("--classifier", default="cifar10-psi")
    parser.add_argument("--inverse", default="cifar10-itn", help='trained against that h; "" for none')
    options = parser.parse_args()
    listed = {model["name"]: model for model in json.loads((MODELS / "index.json").read_text())["models"]}

    def entry_of(name, role):
        if name not in listed or listed[name]["role"] != role:
            names = ", ".join(n for n, m in listed.items() if m["role"] == role)
            sys.exit(f'web_models: "{name}" is no {role} of models/index.json; there are: {names}')
        return listed[name]

    def exported(name, role):
        entry = entry_of(name, role)
        source = MODELS / entry["file"]
        subprocess.run([options.veilnet, "export", "--model", source, "-o", options.output / f"{name}.onnx",
                        "--force"], check=True)
        return card_of(source), {"name": name, "file": f"{name}.onnx", "text": entry["text"], "figures": entry["figures"]}

    entry_of(options.classifier, "classifier")
    card, transform = exported(options.transform, "transform")
    transform["height"], transform["width"] = json.loads(card["input_size"])
    transform["classifier_sha256"] = json.loads(card["notes"]).get("classifier_sha256", "")
    transform["bits"] = json.loads(card["parameters"]).get("bits", 0)
    inverse = exported(options.inverse, "inverse")[1] if options.inverse else None
    text = json.dumps({"transform": transform, "classifier": {"name": options.classifier}, "inverse": inverse}, indent=1)
    (options.output / "models.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
