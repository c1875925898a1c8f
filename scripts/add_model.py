#!/usr/bin/env python3
"""Puts a trained model into models/, under a name that `veilnet protect --model NAME` finds.

usage: add_model.py NAME MODEL.safetensors RECORD.json TEXT

The figures come from RECORD, a file of results/ made from this very training (which the caller vouches for): of the
protection of its alpha and bits, for a classifier the record's plain accuracy, for an inverse network what it rebuilds
of the h of its alpha. An entry of that name is replaced; the same network again, calibrated say, needs no verdict.
Sizes: below 10 MB each, 40 MB together.
"""
import hashlib
import json
import pathlib
import struct
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODELS = ROOT / "models"
EACH, TOGETHER = 10 << 20, 40 << 20


def card_of(path):
    with path.open("rb") as file:
        length = struct.unpack("<Q", file.read(8))[0]
        return json.loads(file.read(length))["__metadata__"]


def weights_of(path):
    data = path.read_bytes()
    return data[8 + struct.unpack("<Q", data[:8])[0]:]


def figures_of(card, record):
    """Of the record, what belongs to the model of this card."""
    if card["role"] == "classifier":
        plain = record["metrics"]["plain_accuracy"]
        return {"plain_accuracy": plain["mean"] if isinstance(plain, dict) else plain}
    notes = json.loads(card["notes"])
    inverse = card["role"] == "inverse"
    alpha, bits = float(notes["attacks_alpha" if inverse else "alpha"]), json.loads(card["parameters"]).get("bits", 0)
    for p in record["protections"]:
        bound = p.get("bound") or {}
        if p.get("alpha") != alpha or bound.get("bits", 0) != bits or bound.get("epsilon"):
            continue
        found = {"accuracy": p["accuracy"], "plain_accuracy": p["plain_accuracy"]}
        for cell in record["cells"]:
            if cell["protection"] != p["label"] or cell.get("refused"):
                continue
            if cell["attack"] == "look":
                found["ssim_seen"] = cell["measures"]["ssim"]["mean"]
            elif cell["attack"] == "itn":
                found["itn_ssim"] = cell["measures"]["ssim"]["mean"]
                found["itn_psnr_db"] = cell["measures"]["psnr_db"]["mean"]
        if inverse:
            return {k: v for k, v in found.items() if k.startswith("itn_")}
        if bound:  # of the mean squared error, with which a mean of PSNRs does not compare
            found.pop("itn_psnr_db", None)
            found["no_attack_above_db"] = bound["psnr_db"]
        return found
    sys.exit(f"add_model: the record has no protection of alpha {alpha} and {bits} bits")


def main():
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    name, model, record, text = sys.argv[1], *map(pathlib.Path, sys.argv[2:4]), sys.argv[4]
    card, data = card_of(model), model.read_bytes()
    if len(data) > EACH:
        sys.exit(f"add_model: {model} has {len(data)} bytes; allowed: {EACH}")
    verdict = json.loads(card["notes"]).get("verdict", "")
    if verdict.startswith(("does not protect", "did not learn")):
        sys.exit(f"add_model: {model} {verdict}")
    there = MODELS / f"{name}.safetensors"
    known = there.exists() and weights_of(there) == weights_of(model)
    if card["role"] in ("transform", "encoder") and not verdict and not known:
        sys.exit(f"add_model: {model} was never judged: its card has no verdict")
    result = json.loads(record.read_text())
    figures = figures_of(card, result)
    index = MODELS / "index.json"
    MODELS.mkdir(exist_ok=True)
    entries = json.loads(index.read_text())["models"] if index.exists() else []
    entries = [e for e in entries if e["name"] != name]
    total = len(data) + sum((MODELS / e["file"]).stat().st_size for e in entries)
    if total > TOGETHER:
        sys.exit(f"add_model: with {model} the models have {total} bytes together; allowed: {TOGETHER}")
    file = f"{name}.safetensors"
    there.write_bytes(data)  # which may be where it came from
    value = lambda v: round(v["mean"] if isinstance(v, dict) else v, 4)
    entries.append({"name": name, "file": file, "sha256": hashlib.sha256(data).hexdigest(), "role": card["role"],
                    "text": text, "licence": "Apache-2.0", "record": f"results/{record.name}",
                    "figures": {k: value(v) for k, v in figures.items()}})
    entries.sort(key=lambda e: e["name"])
    index.write_text(json.dumps({"format": "veilnet-models", "format_version": 1, "models": entries}, indent=1) + "\n")
    print(f"{name}: {figures}, {len(data)} bytes; {len(entries)} models, {total} bytes")


if __name__ == "__main__":
    main()
