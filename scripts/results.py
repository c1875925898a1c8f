#!/usr/bin/env python3
"""Generates docs/results.md from results/*.json. With --check, only says whether it is up to date."""
import argparse
import json
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
TARGET = ROOT / "docs" / "results.md"



def percent(value):
    return "-" if value is None else f"{100 * value:.2f}"


def spread(value, digits):
    if isinstance(value, dict):
        return f"{value['mean']:.{digits}f} +- {value['spread']:.{digits}f}"
    return f"{value:.{digits}f}"


def row(label, point, paper):
    return [label, point["recipe"], percent(point["protected_accuracy"]), percent(point["protected_accuracy_png8"]), percent(paper),
            spread(point["ssim_plain_protected_mean"], 3), spread(point["itn_psnr_db_mean"], 2), f"{point['mean_image_psnr_db']:.2f}",
            spread(point["itn_ssim_mean"], 3), f"{point['itn_ssim_p99']:.3f}", percent(point["itn_reconstruction_accuracy"])]


def table(header, rows):
    lines = ["| " + " | ".join(header) + " |", "|" + "---|" * len(header)]
    return lines + ["| " + " | ".join(r) + " |" for r in rows]


def transform_section(name, record):
    metrics, data, paper = record["metrics"], record["data"], record["paper"]
    alpha = next(line.split("=")[1].strip() for line in record["config"].splitlines() if line.startswith("alpha ="))
    rows = [row(f"{alpha} (main)", {**metrics, "recipe": record["recipe"]}, paper["protected_accuracy"])]
    rows += [row(f"{p['alpha']:g}", p, p["paper_accuracy"]) for p in sorted(record.get("curve", []), key=lambda p: p["alpha"])]
    machine = record["machine"]
    return [
        f"## {name}", "",
        f"Data: {data['name']}, {data['train']} training and {data['test']} test pictures. phi: {record['phi']['source']}. Seed {record['seed']}, "
        f"commit {record['commit']}, {machine['device']}, {machine['threads']} threads, {machine['precision']}, LibTorch {machine['LibTorch']}.", "",
        f"psi on plain test pictures: **{percent(metrics['plain_accuracy'])} %** (paper: {percent(paper['plain_accuracy'])} %, {paper['source']}). "
        f"Protected pictures at alpha = {alpha}: **{percent(metrics['protected_accuracy'])} %**, {metrics['accuracy_gap_points']:.2f} points below, "
        f"mean SSIM(plain, protected) {spread(metrics['ssim_plain_protected_mean'], 3)}. "
        f"ITN-Attack on {metrics['itn_images']} test pictures: {spread(metrics['itn_psnr_db_mean'], 2)} dB PSNR, where answering every picture with the "
        f"mean training picture gives {metrics['mean_image_psnr_db']:.2f} dB.", "",
        *table(["alpha", "recipe of h", "accuracy %", "8-bit PNG %", "paper %", "SSIM plain/protected", "ITN PSNR dB", "mean picture dB", "ITN SSIM",
                "ITN SSIM, worst 1 % from", "psi on reconstructions %"], rows), "",
        "Spreads are standard deviations over test pictures. Rows with different recipes do not compare; within one recipe they form the trade-off curve.", ""]


ROWS = ["plain", "transform", "pe", "le", "ele", "etc", "gan"]  # the order of the comparison table; others follow


def table1_section(data, records):
    """The comparison table of one data set: the records results/table1-<data>-<row>.json."""
    def place(record):
        row = record["row"]
        first = next((i for i, name in enumerate(ROWS) if row.split("-")[0] == name), len(ROWS))
        return first, float(row.removeprefix("transform-a")) if first == 1 else 0, row

    rows, papers = [], {}
    for record in sorted(records, key=place):
        metrics, paper = record["metrics"], record["paper"]
        note = papers.setdefault(paper["source"], len(papers) + 1) if paper else None
        rows.append([record["row"], record["classifier"], record["recipe"], percent(metrics["accuracy"]),
                     f"{percent(paper['accuracy'])} [{note}]" if paper else "-", percent(metrics["plain_accuracy"]),
                     spread(metrics["ssim_mean"], 3) if "ssim_mean" in metrics else "-",
                     f"{metrics['key_space_bits']:.0f}" if "key_space_bits" in metrics else "-", record["commit"]])
    machines = sorted({f"{r['machine']['device']}, {r['machine']['threads']} threads, {r['machine']['precision']}" for r in records})
    return [
        f"## Comparison of the schemes on {data}", "",
        "Accuracy is that on what the cloud sees; beside it, what the same classifier makes of plain pictures. Each row is one training with one seed. "
        "The accuracy of the GAN-based transformation is ours after the paper's idea, not a reproduction.", "",
        *table(["row", "classifier", "recipe", "accuracy %", "paper %", "on plain pictures %", "SSIM plain/protected", "key space, bits", "commit"], rows), "",
        *[f"[{number}] {source}" for source, number in papers.items()], "", f"Measured on {'; '.join(machines)}.", ""]


def attacks_section(name, record):
    """The matrix of results/attacks-<data>.json: median SSIM, the share recovered exactly, flags."""
    attacks = list(dict.fromkeys(cell["attack"] for cell in record["cells"]))
    by_place = {(cell["scheme"], cell["attack"]): cell for cell in record["cells"]}

    def text(cell):
        if cell is None or "refused" in cell:
            return "-"
        exact = f", {percent(cell['exact'])} % exact" if cell["exact"] > 0 else ""
        # Who picks among candidates recovers nothing that he did not have.
        value = f"{percent(cell['exact'])} % picked" if cell["threat_model"]["auxiliary"] == "candidates" else f"{cell['ssim']['median']:.2f}{exact}"
        return value + (" (!)" if cell["flags"] else "")

    schemes = [scheme["label"] for scheme in record["schemes"]]
    rows = [[scheme] + [text(by_place.get((scheme, attack))) for attack in attacks] for scheme in schemes]
    baseline = record["baselines"][0]
    budget, machine = record["budget"], record["machine"]
    lines = [
        f"## {name}", "",
        f"Every attack on every scheme: median SSIM of the recovered with the plain picture over {budget['attacked pictures']} test pictures, and the share recovered "
        f"exactly. (!): the figure is flagged and must not be read as strength of the scheme; the record says why. -: the combination makes no sense. "
        f"Guessing the {baseline['name']} gives {baseline['ssim']['median']:.2f}. Budget `{budget['name']}`: {budget['epochs']} epochs on "
        f"{budget['own pictures']} pictures. Commit {record['commit']}, {machine['device']}, {machine['threads']} threads, {machine['precision']}.", "",
        *table(["scheme", *attacks], rows), ""]
    if record.get("attributes"):
        names = list(dict.fromkeys(a["attribute"] for a in record["attributes"]))
        read = {(a["scheme"], a["attribute"]): a for a in record["attributes"]}
        lines += ["What a small classifier reads from protected pictures, in percent (chance is about 50):", "",
                  *table(["scheme", *names], [[scheme, *[percent(read[scheme, n]["accuracy"]) if (scheme, n) in read else "-" for n in names]] for scheme in schemes]), ""]
    if record.get("transport"):
        ways = list(dict.fromkeys(t["transport"] for t in record["transport"]))
        arrived = {(t["scheme"], t["transport"]): t for t in record["transport"]}

        def after(entry):
            if entry is None:
                return "-"
            accuracy = f"{percent(entry['accuracy'])} %, " if "accuracy" in entry else ""
            return accuracy + (f"{entry['ssim']['median']:.2f}" if "ssim" in entry else "-")

        lines += ["After transport: accuracy of the service where it was trained, and median SSIM of what the strongest attack of the row recovers:", "",
                  *table(["scheme", *ways], [[scheme, *[after(arrived.get((scheme, way))) for way in ways]] for scheme in schemes]), ""]
    for curve in record.get("curve", []):
        points = ", ".join(f"{p['budget']:g}: {p['ssim']:.3f} ({percent(p['exact'])} % exact)" for p in curve["points"])
        lines += [f"`{curve['attack']}` on `{curve['scheme']}`, median SSIM by number of {curve['budget_name']}: {points}.", ""]
    return lines


def bench_section(name, record):
    machine = record["machine"]
    return [f"## {name}", "", f"{record.get('note', '')} Commit {record['commit']}, {machine['device']}.".strip(), "",
            *table(["metric", "value"], [[key, spread(value, 2)] for key, value in record["metrics"].items()]), ""]


def generate():
    lines = ["# Results", "", "Generated by `scripts/results.py` from `results/*.json`, which hold every figure with its configuration. Do not edit.", ""]
    tables, rest = {}, {}
    for path in sorted((ROOT / "results").glob("*.json")):
        kind, _, name = path.stem.partition("-")
        record = json.loads(path.read_text())
        if kind == "table1":
            tables.setdefault(name.split("-")[0], []).append(record)
        else:
            rest[path.stem] = record
    for name, record in rest.items():
        section = {"bench": bench_section, "attacks": attacks_section}.get(name.split("-")[0], transform_section)
        lines += section(name, record)
    for data, records in tables.items():
        lines += table1_section(data, records)
    return "\n".join(lines).rstrip() + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    text = generate()
    if parser.parse_args().check:
        if not TARGET.exists() or TARGET.read_text() != text:
            sys.exit("docs/results.md is not what results/*.json say; run: scripts/results.py")
    else:
        TARGET.write_text(text)


if __name__ == "__main__":
    main()
