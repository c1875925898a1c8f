#!/usr/bin/env python3
"""Writes docs/results.md and the marked blocks of README.md and docs/attacks.md from results/*.json
and docs/attacks/*.md. With --check, only says whether they are up to date."""
import argparse
import json
import math
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD_VERSION = 2  # src/record/io.h
DASH = "–"
OWN_SPLIT = ("The split is our own, 100 test pictures of each class by hash, as the official one could "
             "not be recovered: figures compare with published ones up to the difference of splits.")
FLAG = " (!)"


# Records of the old form, from before they had a version, are brought into the new one.

OLD_MEASURES = ("psnr_db", "ssim", "ssim_gaussian", "ms_ssim", "feature_distance", "exact",
                "reidentified")
OLD_KEYS = {"scheme": "protection", "reconstruction_accuracy": "named"}


def old_figures(cell):
    figures = {name: cell[name] for name in OLD_MEASURES if name in cell}
    if "reconstruction_accuracy" in cell:
        figures["named"] = cell["reconstruction_accuracy"]
    return figures


def old_point(figures):
    """One alpha of an old main experiment: a protection, and its cells of look and itn."""
    def summary(mean, *others):
        s = {"mean": figures[mean]["mean"], "standard_deviation": figures[mean]["spread"],
             "n": figures[mean]["n"]}
        return s | {other.rsplit("_", 1)[1]: figures[other] for other in others if other in figures}

    label = f"transform-a{figures['alpha']:g}" if figures["alpha"] else "transform-a0.0"
    paper = figures.get("paper_accuracy")
    protection = {
        "label": label, "alpha": figures["alpha"], "recipe": figures["recipe"],
        "accuracy": figures["protected_accuracy_png8"],
        "accuracy_float": figures["protected_accuracy"],
        "plain_accuracy": figures["plain_accuracy"],
        "paper": None if paper is None else {"accuracy": paper,
                                             "source": "arXiv 2008.03143, Table I"}}
    cells = [{"protection": label, "attack": "look", "flags": [],
              "measures": {"ssim": summary("ssim_plain_protected_mean")}}]
    if "itn_images" in figures:
        cells.append({
            "protection": label, "attack": "itn", "flags": [], "n": figures["itn_images"],
            "measures": {"psnr_db": summary("itn_psnr_db_mean", "itn_psnr_db_median",
                                            "itn_psnr_db_p99"),
                         "ssim": summary("itn_ssim_mean", "itn_ssim_median", "itn_ssim_p99"),
                         "exact": 0, "named": figures["itn_reconstruction_accuracy"]}})
    return protection, cells


def upgraded(old):
    """A record of the old form in the new one, as far as the documents need it."""
    new = {key: old[key] for key in ("experiment", "commit", "machine", "seed", "data", "config",
                                     "metrics") if key in old}
    new |= {"form": "old", "protections": [], "cells": [], "baselines": []}
    metrics, paper = old["metrics"], old.get("paper") or {}
    if "schemes" in old:  # a matrix of attacks
        def renamed(entry):
            return {OLD_KEYS.get(key, key): value for key, value in entry.items()}

        new["budget"] = old["budget"]
        new["protections"] = old["schemes"]
        new["baselines"] = [b | {"measures": old_figures(b)} for b in old["baselines"]]
        for cell in old["cells"]:
            new["cells"].append(renamed(cell) | {"measures": old_figures(cell)})
        for name in ("transport", "attributes", "curve"):
            new[name] = [renamed(entry) | {"measures": old_figures(entry)}
                         for entry in old.get(name, [])]
        for curve in new["curve"]:
            curve["points"] = [{"budget": p["budget"], "measures": {
                "ssim": {"median": p["ssim"]}, "exact": p["exact"]}} for p in curve["points"]]
    elif "row" in old:  # of the comparison table
        protection = {"label": old["row"], "recipe": old["recipe"], "paper": old["paper"],
                      "classifier": old["classifier"]}
        for key in ("accuracy", "plain_accuracy", "key_space_bits"):
            protection[key] = metrics.get(key)
        new["protections"] = [protection]
        if "ssim_mean" in metrics:
            new["cells"] = [{"protection": old["row"], "attack": "look", "flags": [],
                             "measures": {"ssim": {"mean": metrics["ssim_mean"]["mean"],
                                                   "standard_deviation":
                                                       metrics["ssim_mean"]["spread"]}}}]
    elif "protected_accuracy" in metrics and "recipe" in old:  # the main experiment
        alpha = next(line.split("=")[1] for line in old["config"].splitlines()
                     if line.startswith("alpha ="))
        main = metrics | {"alpha": float(alpha), "recipe": old["recipe"],
                          "paper_accuracy": paper.get("protected_accuracy")}
        for point in [main, *old.get("curve", [])]:
            protection, cells = old_point({"plain_accuracy": metrics["plain_accuracy"]} | point)
            new["protections"].append(protection)
            new["cells"] += cells
        if "mean_image_psnr_db" in metrics:
            new["baselines"] = [{"name": "mean picture", "measures": {
                "psnr_db": {"mean": metrics["mean_image_psnr_db"]}}}]
        if paper.get("plain_accuracy") is not None:
            new["plain_paper"] = {"accuracy": paper["plain_accuracy"], "source": paper["source"]}
        new["phi"] = old["phi"]
    else:  # a benchmark
        new["note"] = old.get("note", "")
    return new


def load(path):
    record = json.loads(path.read_text())
    version = record.get("record_version")
    if version is None:
        return upgraded(record)
    if version != RECORD_VERSION:
        sys.exit(f"{path}: record_version is {version}, allowed is {RECORD_VERSION}")
    return record


# Words and tables.

def percent(value, digits=2):
    return DASH if value is None else f"{100 * value:.{digits}f}"


def fixed(value, digits):
    if value is None:
        return DASH
    if value in ("inf", "-inf"):
        return "∞" if value == "inf" else "-∞"
    text = f"{value:.{digits}f}"
    return text[1:] if text[0] == "-" and not text.strip("-0.") else text


def spread(summary, digits):
    if summary is None:
        return DASH
    return f"{fixed(summary['mean'], digits)} ± {fixed(summary['standard_deviation'], digits)}"


def table(header, rows):
    """The first column is words, as are those whose name ends with a space; others are numbers."""
    line = "|" + "".join("---|" if i == 0 or h.endswith(" ") else "---:|"
                         for i, h in enumerate(header))
    return ["| " + " | ".join(h.strip() for h in header) + " |", line,
            *("| " + " | ".join(row) + " |" for row in rows)]


def wrapped(words, width=100):
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + 1 + len(word) > width:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return lines


def cell_of(record, protection, attack):
    return next((c for c in record["cells"]
                 if (c["protection"], c["attack"]) == (protection, attack)), None)


def picks(cell):
    return cell.get("threat_model", {}).get("auxiliary") == "candidates"


def without_outdated_flags(record):
    """Records from before set_flags of src/measure/flags.cpp spared attacks that pick: who picks
    among pictures that he has rebuilds nothing, so no measure of a rebuilt one is about him."""
    for cell in record["cells"]:
        if picks(cell):
            cell["flags"] = [flag for flag in cell["flags"]
                             if flag["id"] not in ("weaker_than_trivial", "beaten_by_less")]
    return record


def looks(cell):
    return cell["attack"].startswith("look")


def trusted(cell):
    """As record::Cell::trusted."""
    return all(flag["id"] in ("under_trained", "beats_bound") for flag in cell["flags"])


def cell_text(cell):
    """As cell_text of src/report/tables.cpp; tests/report/matrix.md holds both to it."""
    if cell is None:
        return ""
    if cell.get("refused"):
        return DASH
    measures = cell["measures"]
    if picks(cell):
        picked = measures.get("reidentified")
        text = DASH if picked is None else f"{percent(picked, 1)} % picked"
    else:
        text = fixed(measures["ssim"]["median"], 2)
        if measures["exact"] > 0:
            text += f", {percent(measures['exact'], 1)} % exact"
    return text + (FLAG if cell["flags"] else "")


def attacks_of(record):
    return list(dict.fromkeys(cell["attack"] for cell in record["cells"]))


MOST_COLUMNS = 6  # protections beside each other, as in src/report/tables.cpp


def leak_tables(record):
    """Attacks down, protections across, in tables that a page is wide enough for."""
    labels = [p["label"] for p in record["protections"]]
    out = []
    for at in range(0, len(labels), MOST_COLUMNS):
        part = labels[at:at + MOST_COLUMNS]
        rows = [[attack] + [cell_text(cell_of(record, label, attack)) for label in part]
                for attack in attacks_of(record)]
        out += [*table(["Attack"] + [label + " " for label in part], rows), ""]
    return out


def origin(record):
    machine = record.get("machine", {})
    parts = []
    if "data" in record:
        data = record["data"]
        sizes = " and ".join(f"{data[key]} {words}" for key, words in (("train", "training"),
                                                                      ("test", "test"))
                             if key in data)
        parts.append(f"Data: {data['name']}" + (f", {sizes} pictures." if sizes else "."))
        if data["name"].startswith("cifar100"):
            parts.append(OWN_SPLIT)
    if record.get("phi"):
        parts.append(f"phi: {record['phi']['source']}.")
    about = [f"Commit {record['commit']}"] if "commit" in record else []
    if record.get("seed") is not None and record["protections"]:
        about.append(f"seed {record['seed']}")
    about += [machine[key] for key in ("device", "precision") if key in machine]
    about += [f"{machine['threads']} threads"] if "threads" in machine else []
    parts += [", ".join(about) + "."] if about else []
    if record.get("form") == "old":
        parts.append("Form: old (without the keys of what it was made from).")
    return " ".join(parts)


def main_section(record):
    """One network at one or several alphas: accuracy, what is seen, what itn recovers."""
    rows = []
    guess = next((b["measures"]["psnr_db"]["mean"] for b in record["baselines"]
                  if b["name"] == "mean picture"), None)
    for p in sorted(record["protections"], key=lambda p: p.get("alpha") or 0):
        look, itn = (cell_of(record, p["label"], attack) for attack in ("look", "itn"))
        seen = look["measures"] if look else {}
        got = itn["measures"] if itn and not itn.get("refused") else {}
        paper = p.get("paper")
        rows.append([
            p["label"].removeprefix("transform-a"), percent(p.get("accuracy_float")),
            percent(p.get("accuracy")), percent(paper and paper["accuracy"]),
            spread(seen.get("ssim"), 3), spread(got.get("psnr_db"), 2), spread(got.get("ssim"), 3),
            fixed(got["ssim"].get("p99"), 2) if got else DASH, percent(got.get("named"), 1)])
    first = record["protections"][0]
    words = f"psi on plain test pictures: **{percent(first.get('plain_accuracy'))} %**"
    if record.get("plain_paper"):
        words += (f" (paper: {percent(record['plain_paper']['accuracy'])} %, "
                  f"{record['plain_paper']['source']})")
    words += (f". Main: alpha {first['alpha']:g}. Spreads are standard deviations over test "
              "pictures. ITN: the inverse network's answer against the plain picture; worst: what "
              "a hundredth of the pictures exceed; named: by psi.")
    if guess is not None:
        words += f" Answering with the mean picture gives {fixed(guess, 2)} dB."
    for p in record["protections"]:
        if has_bound_alone(p):
            words += (f" Of {p['label']} no attacker's mean squared error is below that of "
                      f"{fixed(p['bound']['psnr_db'], 2)} dB; a mean of PSNRs, as in the table, is "
                      "higher than the PSNR of the mean.")
    recipes = {}
    for p in record["protections"]:
        recipes.setdefault(p.get("recipe", ""), []).append(p["label"].removeprefix("transform-a"))
    words += " Recipes of h: " + "; ".join(f"{recipe} (alpha {', '.join(alphas)})"
                                           for recipe, alphas in recipes.items()) + "."
    if len(recipes) > 1:
        words += " Rows of different recipes do not compare."
    return [*wrapped(words), "",
            *table(["alpha", "float, %", "PNG, %", "paper, %", "SSIM seen", "ITN, dB", "ITN, SSIM",
                    "worst", "named, %"], rows), ""]


def attacks_section(record):
    """Every attack on every protection."""
    words = ("Every attack on every protection: median SSIM of the recovered with the plain "
             "picture, and the share recovered exactly, or picked out of the candidates. (!): the figure is flagged and must not be "
             f"read as strength of the protection; the record says why. {DASH}: the combination "
             "makes no sense. ")
    for baseline in record["baselines"]:
        words += (f"Guessing the {baseline['name']} gives "
                  f"{fixed(baseline['measures']['ssim']['median'], 2)}. ")
    budget = record.get("budget", {})
    spent = ", ".join(f"{name} {value}" for name, value in sorted(budget.items())
                      if name != "name")
    if budget:
        words += f"Budget `{budget['name']}`" + (f": {spent}." if spent else ".")
    tried = [cell for cell in record["cells"] if not cell.get("refused") and not looks(cell)]
    flagged = sum(1 for cell in tried if cell["flags"])
    words += f" Flagged: {flagged} of {len(tried)} figures."
    lines = [*wrapped(words), "", *leak_tables(record)]
    labels = [p["label"] for p in record["protections"]]
    if record.get("attributes"):
        names = list(dict.fromkeys(a["attribute"] for a in record["attributes"]))
        read = {(a["protection"], a["attribute"]): a["accuracy"] for a in record["attributes"]}
        lines += [*wrapped("What a small classifier reads from protected pictures, in percent "
                           "(guessing is right for about 50):"), "",
                  *table(["protection", *names],
                         [[label, *(percent(read.get((label, n)), 1) for n in names)]
                          for label in labels]), ""]
    if record.get("transport"):
        ways = list(dict.fromkeys(t["transport"] for t in record["transport"]))
        arrived = {(t["protection"], t["transport"]): t for t in record["transport"]}

        def rows_of(value):
            return [[label, *(value(arrived.get((label, way))) for way in ways)]
                    for label in labels if any((label, way) in arrived for way in ways)]

        accuracy = [row for row in rows_of(lambda t: percent(t and t.get("accuracy"), 1))
                    if any(value != DASH for value in row[1:])]
        if accuracy:
            lines += ["Accuracy after transport, in percent, where a service was trained:", "",
                      *table(["protection", *ways], accuracy), ""]
        lines += [*wrapped("After transport, median SSIM of what the strongest attack of the row "
                           "recovers:"), "",
                  *table(["protection", *ways], rows_of(
                      lambda t: fixed(t["measures"]["ssim"]["median"], 2)
                      if t and t["measures"].get("ssim") else DASH)), ""]
    for curve in record.get("curve", []):
        points = ", ".join(
            f"{p['budget']:g}: {fixed(p['measures']['ssim']['median'], 3)}"
            + (f" ({percent(p['measures']['exact'], 1)} % exact)"
               if p["measures"].get("exact") else "")
            for p in curve["points"])
        lines += [*wrapped(f"`{curve['attack']}` on `{curve['protection']}`, median SSIM by "
                           f"number of {curve['budget_name']}: {points}."), ""]
    return lines


ROWS = ["plain", "transform", "coded", "pe", "le", "ele", "etc", "gan"]  # order of the tables


def place(label):
    kind = label.split("-")[0]
    name = kind.rstrip("0123456789")
    first = ROWS.index(name) if name in ROWS else len(ROWS)
    number = label.removeprefix("transform-a") if name == "transform" else kind.removeprefix(name)
    return first, float(number or 0), label


def table1_section(data, records):
    """The comparison table of one data set: the records results/table1-<data>-<row>.json."""
    rows, papers, recipes = [], {}, {}
    for record in sorted(records, key=lambda r: place(r["protections"][0]["label"])):
        p = record["protections"][0]
        look = cell_of(record, p["label"], "look")
        paper = p.get("paper")
        note = papers.setdefault(paper["source"], len(papers) + 1) if paper else None
        recipe = recipes.setdefault(f"{p['classifier']}, {p['recipe']}", chr(ord("a") +
                                                                             len(recipes)))
        bits = p.get("key_space_bits")
        rows.append([
            p["label"], percent(p.get("accuracy_float") or p.get("accuracy")),
            f"{percent(paper['accuracy'])} [{note}]" if paper else DASH,
            percent(p.get("plain_accuracy")),
            spread(look["measures"]["ssim"], 3) if look else DASH,
            DASH if bits is None else f"{bits:.0f}", recipe, record["commit"],
            record.get("form", "")])
    machines = sorted({f"{r['machine']['device']}, {r['machine']['threads']} threads, "
                       f"{r['machine']['precision']}" for r in records})
    return [
        f"## Comparison of the schemes on {data}", "",
        *wrapped("Accuracy is that on what the cloud sees; beside it, what the same classifier "
                 "makes of plain pictures. Each row is one training with one seed. The accuracy of "
                 "the GAN-based transformation is ours after the paper's idea, not a "
                 "reproduction." + (" " + OWN_SPLIT if data.startswith("cifar100") else "")), "",
        *table(["row", "accuracy, %", "paper, %", "plain, %", "SSIM seen", "key, bits", "recipe ",
                "commit ", "form "], rows), "",
        *[line for recipe, letter in recipes.items() for line in wrapped(f"- {letter}: {recipe}")],
        "", *[line for source, n in papers.items() for line in wrapped(f"- [{n}] {source}")], "",
        *wrapped(f"Measured on {'; '.join(machines)}."), ""]


def bench_value(value):
    """A number, its mean over seeds with its spread, or a word such as an instruction set."""
    if isinstance(value, str):
        return value
    if isinstance(value, dict):
        spread = f" ± {bench_value(value['spread'])}" if "spread" in value else ""
        return bench_value(value["mean"]) + spread
    return f"{value:.1e}" if 0 < abs(value) < 0.01 else fixed(value, 2)


def bench_section(record):
    return [*(wrapped(record["note"]) + [""] if record.get("note") else []),
            *table(["metric", "value"], [[key, bench_value(value)]
                                         for key, value in record["metrics"].items()]), ""]


def guarantee(p):
    """What holds whoever attacks, in words."""
    bound = p.get("bound")
    if not bound:
        unbiased = p.get("unbiased_psnr_db")
        return "none" if unbiased is None else f"unbiased attackers: {fixed(unbiased, 2)} dB"
    words = f"at most 2^{bound['bits']} pictures; {fixed(bound['psnr_db'], 2)} dB"
    if bound.get("epsilon"):
        words += f"; epsilon {bound['epsilon']:g} a picture"
    return words


def picked_at_most(bound, candidates):
    """As record::reidentified_at_most."""
    rates = {int(count): rate for count, rate in bound.get("reidentified", {}).items()}
    return rates.get(max((count for count in rates if count <= candidates), default=None))


def defence_row(p, record):
    label = p["label"]
    look, retrieval = (cell_of(record, label, attack) for attack in ("look", "retrieval"))
    named = look["measures"].get("named") if look else None
    accuracy = percent(p.get("accuracy"))
    if p.get("accuracy") is None and named is not None:
        accuracy = f"({percent(named)})"
    best = strongest(record["cells"], label)
    picked = retrieval["measures"].get("reidentified") if retrieval else None
    limit = picked_at_most(p.get("bound", {}), (retrieval or {}).get("candidates", 0))
    read = [a for a in record.get("attributes", []) + record.get("attributes_elsewhere", [])
            if a["protection"] == label]
    attribute = max(read, key=lambda a: a["accuracy"] - a["chance"], default=None)
    jpeg = next((t.get("accuracy") for t in record.get("transport", [])
                 if (t["protection"], t["transport"]) == (label, "jpeg:75")), None)
    return [
        label, guarantee(p), accuracy, percent(jpeg, 1),
        fixed(look["measures"]["ssim"]["median"], 2) if look else DASH,
        f"{fixed(best['measures']['ssim']['median'], 2)} (`{best['attack']}`)" if best else DASH,
        percent(picked, 1) + (f", at most {percent(limit, 1)}" if limit is not None else ""),
        f"{attribute['attribute']} {percent(attribute['accuracy'], 0)}" if attribute else DASH,
        fixed(p["client_gflop"], 3) if p.get("client_gflop") is not None else DASH]


def defences_section(record):
    """The protections side by side; below, every attack on each."""
    local = next((p for p in record["protections"] if p.get("local_accuracy") is not None), None)
    words = ("Guarantee: what holds for every attacker (of noise: for every unbiased one), dB being "
             "the PSNR of the smallest mean squared error that is possible. Rebuilt: median SSIM of "
             "the strongest attack that is to be trusted; one on fewer pictures leads only beyond "
             "its interval. Picked: of the candidates, by `retrieval` and, where there is a bound, by any, on average over "
             "candidates drawn at random. Attribute: the one that is read best, percent. GFLOP: what a picture costs "
             "the client.")
    rows = [defence_row(p, record) for p in record["protections"]]
    if any(row[2].startswith("(") for row in rows):
        words += (" Accuracy in brackets: no service was trained for these pictures; what psi, as it "
                  f"is, names of the {record['budget']['attacked pictures']:,} attacked ones as they "
                  "are seen.")
    if record.get("attributes_elsewhere"):
        words += (" Attributes stand in "
                  + ", ".join(f"`{name}`" for name in record["attributes_from"])
                  + ", whose cells of `look` are the very same; of the others they were not "
                    "measured.")
    if local:
        words += (f" The catch: the encoder of these h alone, on the client, names "
                  f"{percent(local['local_accuracy'])} % of plain pictures")
        if local.get("local_gflop") is not None:
            words += f" for {fixed(local['local_gflop'], 3)} GFLOP"
        words += "."
    return [*wrapped(words), "",
            *table(["protection", "guarantee ", "accuracy, %", "JPEG 75, %", "seen", "rebuilt ",
                    "picked, %", "attribute ", "GFLOP"],
                   rows), "",
            *services_lines(record), *attacks_section(record)]


def with_attributes_elsewhere(record, records):
    """A record of defences, with the attributes that others have of the very same protections: the
    key of a cell of `look` is over data, protection, psi and budget."""
    known = {a["protection"] for a in record.get("attributes", [])}
    looks_here = {c["protection"]: c.get("key") for c in record["cells"] if c["attack"] == "look"}
    found, names = [], []
    for name, other in records.items():
        same = {c["protection"] for c in other["cells"] if c["attack"] == "look" and c.get("key")
                and c["key"] == looks_here.get(c["protection"])} - known
        entries = [a for a in other.get("attributes", []) if a["protection"] in same]
        if entries:
            found, names = found + entries, names + [name]
            known |= {a["protection"] for a in entries}
    return record | {"attributes_elsewhere": found, "attributes_from": names} if found else record


def services_lines(record):
    rows = []
    for p in record["protections"]:
        for s in p.get("services", []):
            rows.append([p["label"], s["classifier"], str(s["classes"]), percent(s["agreement"]),
                         percent(s.get("accuracy")), percent(s.get("plain_accuracy"))])
    if not rows:
        return []
    return [*wrapped("Other services behind the same protected pictures; same answer: as to the "
                     "plain picture."), "",
            *table(["protection", "service ", "classes", "same answer, %", "protected, %",
                    "plain, %"], rows), ""]


def section(record):
    if not record.get("protections"):
        body = bench_section(record)
    elif record.get("experiment", "").startswith(("defences", "services")):
        body = defences_section(record)
    elif all(p.get("alpha") is not None for p in record["protections"]):
        body = main_section(record)
    else:
        body = attacks_section(record)
    return [*wrapped(origin(record)), "", *body]


def results_page(records):
    lines = ["# Results", "",
             *wrapped("Generated by `scripts/results.py` from `results/*.json`, which hold every "
                      "figure with its configuration. Do not edit."), ""]
    tables = {}
    for name, record in records.items():
        if name.startswith("table1-"):
            tables.setdefault(name.split("-")[1], []).append(record)
        else:
            lines += [f"## {name}", "", *section(record)]
    for data, rows in tables.items():
        lines += table1_section(data, rows)
    return "\n".join(lines).rstrip() + "\n"


# The README's table: what a protection keeps, and what it leaks, side by side.

def strongest(cells, label):
    """The cell to be trusted that rebuilds most: the exact goes before the similar. One over fewer
    pictures leads only beyond its interval, as in record::leading."""
    cells = [c for c in cells if c["protection"] == label and not c.get("refused")
             and not looks(c) and not picks(c) and trusted(c)]

    def reached(cell, fewer=False):
        ssim = cell["measures"]["ssim"]
        half = 1.57 * (ssim["q3"] - ssim["q1"]) / math.sqrt(ssim["n"]) if fewer else 0
        return cell["measures"]["exact"] >= 0.5, abs(ssim["median"]) - half

    best = None
    for cell in sorted(cells, key=lambda c: -c["n"]):
        if best is None or reached(cell, cell["n"] < best["n"]) > reached(best):
            best = cell
    return best


def readme_row(p, record=None, cells=(), matrices=()):
    """p: with the accuracies; record: with the attacks, or None; cells, matrices: of all budgets."""
    label = p["label"]
    paper = p.get("paper")
    row = [label, percent(p.get("accuracy")), percent(paper and paper["accuracy"])]
    if record is None:
        return row + [DASH] * 4
    look, retrieval = (cell_of(record, label, attack) for attack in ("look", "retrieval"))
    best = strongest(cells, label)
    rebuilt = DASH
    if best:
        exact = best["measures"]["exact"]
        rebuilt = f"{percent(exact, 0)} % exactly" if exact >= 0.5 else \
            f"SSIM {fixed(best['measures']['ssim']['median'], 2)}"
        rebuilt += f" (`{best['attack']}`)"
    jpeg = next((t["accuracy"] for m in matrices for t in m.get("transport", [])
                 if (t["protection"], t["transport"]) == (label, "jpeg:75")
                 and t.get("accuracy") is not None), None)
    seen = look["measures"]["ssim"] if look else {}
    return row + [fixed(seen.get("mean"), 2), rebuilt,
                  percent(retrieval and retrieval["measures"].get("reidentified"), 1),
                  percent(jpeg, 1)]


def is_matrix_of(name, record, data):
    """Whether it is a record of attacks or defences on this data, cifar10 or cifar100; the same
    pictures under other labels (cifar100-coarse) are other data."""
    return (re.fullmatch(rf"(attacks|defences)-{data}(-.+)?", name) is not None
            and record["data"]["name"] == data)


def has_bound_alone(p):
    return bool(p.get("bound")) and not p["bound"].get("epsilon")


def readme_rows(records, data, first):
    """Each protection once, from the first record that has it: those named, then the comparison
    table's rows, then what has a bound."""
    # The newest first; the others have what it lacks.
    matrices = sorted((r for name, r in records.items() if is_matrix_of(name, r, data)),
                      key=lambda r: r is not records.get(f"attacks-{data}"))
    rows = [r for name, r in records.items() if name.startswith(f"table1-{data}-")]
    protections = {}
    for record in [*(records[name] for name in first if name in records), *rows]:
        for p in record["protections"]:
            if not p.get("bound") or has_bound_alone(p):
                protections.setdefault(p["label"], (p, record))
    for p in records.get(f"defences-{data}", {"protections": []})["protections"]:
        if has_bound_alone(p):
            protections.setdefault(p["label"], (p, None))
    cells = [c for name, record in records.items()
             if is_matrix_of(name, record, data) and not name.endswith("-old") for c in record["cells"]]
    out = []
    for label in sorted(protections, key=place):
        p, own = protections[label]
        attacks = next((m for m in matrices if cell_of(m, label, "look")), None)
        if attacks:
            out.append(readme_row(p, attacks, cells, matrices))
        elif own and cell_of(own, label, "look"):
            out.append(readme_row(p, own, own["cells"]))
        else:
            out.append(readme_row(p))
    return out


def long_rows(record):
    """The main experiment again, trained for longer."""
    if not record:
        return []
    p, paper = record["protections"][0], record.get("plain_paper")
    return [["plain, long", percent(p["plain_accuracy"]), percent(paper and paper["accuracy"])]
            + [DASH] * 4,
            [f"{p['label']}, long", *readme_row(p, record, record["cells"])[1:]]]


def readme_block(records):
    columns = ["accuracy, %", "paper, %", "seen, SSIM", "rebuilt at best ", "picked, %",
               "JPEG 75, %"]
    lines = []
    for title, data, first, long in (("CIFAR-10", "cifar10", ["cifar10-cpu"], "cifar10-long"),
                                     ("CIFAR-100", "cifar100", ["defences-cifar100"],
                                      "cifar100-cpu")):
        rows = readme_rows(records, data, first) + long_rows(records.get(long))
        if rows:
            lines += [*([""] if lines else []), *table([title, *columns], rows)]
            if data == "cifar100":
                lines += ["", *wrapped(OWN_SPLIT)]
    return lines


# The list of attacks: the title and the facts at the head of each page.

def attack_page(path):
    lines = path.read_text().splitlines()
    name, _, what = lines[0].removeprefix("# ").partition(": ")
    facts = dict(part.strip("| ").split(" | ", 1) for part in lines if part.startswith("| ")
                 and part.count("|") == 3 and part.strip("| "))
    if name != path.stem or not {"threat model", "against", "recovers"} <= facts.keys():
        sys.exit(f"{path}: expected '# {path.stem}: ...' and a table with threat model, against, "
                 "recovers")
    return name, what, facts


def attacks_block(folder):
    # In the order of the attacker's power, as in the matrix.
    table_h = (ROOT / "src/attack/table.h").read_text()
    attacks = [id.replace("_", "-") for id in re.findall(r"^  X\((\w+)\)", table_h, re.M)]
    pages = {path.stem: attack_page(path) for path in folder.glob("*.md")}
    order = sorted(pages, key=lambda id: (attacks.index(id) if id in attacks else len(attacks), id))
    return table(["attack", "what it is ", "recovers "],
                 [[f"[`{id}`](attacks/{id}.md)", pages[id][1], pages[id][2]["recovers"]]
                  for id in order])


def with_block(text, name, lines, path):
    """The text with the lines between its two marks."""
    begin, end = f"<!-- {name}: written by scripts/results.py -->", f"<!-- end of {name} -->"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        sys.exit(f"{path}: expected one line '{begin}' and one '{end}' below it")
    return (text[:text.index(begin) + len(begin)] + "\n" + "\n".join(lines) + "\n"
            + text[text.index(end):])


def generate(root):
    """What each document should be, by its path."""
    records = {path.stem: without_outdated_flags(load(path))
               for path in sorted((root / "results").glob("*.json"))}
    for name in [name for name in records if name.startswith("defences")]:
        records[name] = with_attributes_elsewhere(records[name], records)
    out = {root / "docs" / "results.md": results_page(records)}
    for path, name, lines in ((root / "README.md", "results", readme_block(records)),
                              (root / "docs" / "attacks.md", "attacks",
                               attacks_block(root / "docs" / "attacks"))):
        out[path] = with_block(path.read_text(), name, lines, path)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--root", type=pathlib.Path, default=ROOT, help="the project's folder")
    arguments = parser.parse_args()
    stale = []
    for path, text in generate(arguments.root).items():
        if not path.exists() or path.read_text() != text:
            stale.append(str(path.relative_to(arguments.root)))
            if not arguments.check:
                path.write_text(text)
    if arguments.check and stale:
        sys.exit(f"{', '.join(stale)}: not what the records say; run: scripts/results.py")


if __name__ == "__main__":
    main()
