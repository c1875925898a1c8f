import importlib.util
import json
import pathlib
import shutil
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "results.py"
spec = importlib.util.spec_from_file_location("results", SCRIPT)
results = importlib.util.module_from_spec(spec)
spec.loader.exec_module(results)


def run(*arguments):
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True)


class Documents(unittest.TestCase):
    def test_say_what_the_records_say(self):
        found = run("--check")
        self.assertEqual(found.returncode, 0, found.stderr)

    def test_lines_fit_the_page_but_for_tables(self):
        long = [line for line in (ROOT / "docs" / "results.md").read_text().splitlines()
                if len(line) > 100 and not line.startswith("|")]
        self.assertEqual(long, [])

    def test_an_edit_by_hand_is_noticed_and_undone(self):
        with tempfile.TemporaryDirectory() as name:
            root = pathlib.Path(name)
            shutil.copytree(ROOT / "results", root / "results")
            shutil.copytree(ROOT / "docs", root / "docs")
            shutil.copy(ROOT / "README.md", root)
            self.assertEqual(run("--root", name, "--check").returncode, 0)
            for path in ("docs/results.md", "docs/attacks.md", "README.md"):
                text = (root / path).read_text()
                (root / path).write_text(self.with_a_row_less(text))
                found = run("--root", name, "--check")
                self.assertEqual(found.returncode, 1, path)
                self.assertIn(path, found.stderr)
                self.assertEqual(run("--root", name).returncode, 0)
                self.assertEqual((root / path).read_text(), text)

    @staticmethod
    def with_a_row_less(text):
        """Without the last row of a table: of the marked one, where there is one."""
        lines = text.splitlines(keepends=True)
        end = next((i for i, line in enumerate(lines) if line.startswith("<!-- end of")),
                   len(lines))
        last = max(i for i, line in enumerate(lines[:end]) if line.startswith("| "))
        return "".join(lines[:last] + lines[last + 1:])


class Records(unittest.TestCase):
    def load(self, record):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "record.json"
            path.write_text(json.dumps(record))
            return results.load(path)

    def test_of_the_new_form_are_tabulated_as_the_program_does(self):
        record = results.load(ROOT / "tests" / "record" / "matrix.json")
        table = "\n".join(results.leak_tables(record))
        self.assertIn("| retrieval | 12.5 % picked (!) |", table)
        # src/report writes the same table: tests/report/table_test.cpp.
        self.assertTrue((ROOT / "tests" / "report" / "matrix.md").read_text().startswith(table))

    def test_of_the_new_form_have_no_mark(self):
        record = json.loads((ROOT / "tests" / "record" / "matrix.json").read_text())
        self.assertNotIn("Form: old", "\n".join(results.section(self.load(record))))
        for p in record["protections"]:
            p["alpha"] = 0.1
        self.assertIn("| alpha |", "\n".join(results.section(self.load(record))))

    def test_of_the_old_form_are_marked(self):
        old = {"experiment": "bench-x", "commit": "abc", "machine": {"device": "cpu"},
               "metrics": {"le_gb_per_s": 1.5}}
        text = " ".join(results.section(self.load(old)))
        self.assertIn("Form: old", text)
        self.assertIn("| le_gb_per_s | 1.50 |", text)

    def test_of_defences_stand_side_by_side(self):
        def cell(attack, ssim, **more):
            return {"protection": "coded4", "attack": attack, "flags": [], "candidates": 1000, "n": 1000,
                    "measures": {"ssim": {"median": ssim}, "exact": 0, **more}}

        p = {"label": "coded4", "alpha": 0.005, "accuracy": 0.8377, "client_gflop": 0.0812, "local_accuracy": 0.88,
             "bound": {"bits": 4, "psnr_db": 12.42, "epsilon": 8,
                       "reidentified": {"1000": 0.016}},
             "services": [{"classifier": "resnet-8", "classes": 20, "agreement": 0.9}]}
        picking = cell("retrieval", 0.1, reidentified=0.015)
        picking["threat_model"] = {"auxiliary": "candidates"}
        record = {"experiment": "services-x", "protections": [p, {"label": "le", "alpha": 0.005}],
                  "cells": [cell("look", 0.01), cell("itn", 0.12), picking],
                  "attributes": [{"protection": "coded4", "attribute": a, "accuracy": x,
                                  "chance": 0.5} for a, x in (("warmth", 0.6), ("light", 0.7))],
                  "transport": [{"protection": "coded4", "transport": "jpeg:75", "accuracy": 0.83,
                                 "measures": {}}], "baselines": []}
        text = " ".join("\n".join(results.section(record)).split())
        self.assertIn("| coded4 | at most 2^4 pictures; 12.42 dB; epsilon 8 a picture | 83.77 | "
                      "83.0 | 0.01 | 0.12 (`itn`) | 1.5, at most 1.6 | light 70 | 0.081 |", text)
        self.assertIn("| le | none |", text)
        self.assertIn("names 88.00 % of plain pictures.", text)
        self.assertIn("| coded4 | resnet-8 | 20 | 90.00 |", text)

    def test_of_a_protection_without_a_service_say_what_psi_names(self):
        look = {"protection": "le", "attack": "look", "flags": [], "key": "k",
                "measures": {"ssim": {"median": 0.01}, "exact": 0, "named": 0.112}}
        record = {"experiment": "defences-x", "protections": [{"label": "le"}], "cells": [look],
                  "baselines": [], "budget": {"name": "small", "attacked pictures": 1000}}
        text = " ".join("\n".join(results.section(record)).split())
        self.assertIn("| le | none | (11.20) |", text)
        self.assertIn("as it is, names of the 1,000 attacked ones", text)
        self.assertNotIn("Attributes stand", text)

    def test_of_defences_take_attributes_of_the_very_same_protection_alone(self):
        def record(key, attributes=()):
            return {"experiment": "defences-x", "protections": [{"label": "le", "accuracy": 0.5}],
                    "cells": [{"protection": "le", "attack": "look", "flags": [], "key": key,
                               "measures": {"ssim": {"median": 0.01}, "exact": 0}}],
                    "attributes": list(attributes), "baselines": []}

        read = [{"protection": "le", "attribute": "warmth", "accuracy": 0.9, "chance": 0.5}]
        found = results.with_attributes_elsewhere(record("k"), {"attacks-x": record("k", read)})
        text = " ".join("\n".join(results.section(found)).split())
        self.assertIn("| warmth 90 |", text)
        self.assertIn("Attributes stand in `attacks-x`", text)
        other = results.with_attributes_elsewhere(record("k"), {"attacks-x": record("j", read)})
        self.assertNotIn("attributes_elsewhere", other)
        without_key = results.with_attributes_elsewhere(record(None),
                                                        {"attacks-x": record(None, read)})
        self.assertNotIn("attributes_elsewhere", without_key)

    def test_of_cifar100_are_not_those_of_cifar10(self):
        def belongs(name, data, of):
            return results.is_matrix_of(name, {"data": {"name": of}}, data)

        for name in ("attacks-cifar10-h-standard", "defences-cifar10"):
            self.assertTrue(belongs(name, "cifar10", "cifar10"), name)
        self.assertTrue(belongs("defences-cifar100", "cifar100", "cifar100"))
        self.assertFalse(belongs("defences-cifar100-coarse", "cifar100", "cifar100-coarse"))
        for name in ("attacks-cifar100", "defences-cifar100"):
            self.assertFalse(belongs(name, "cifar10", "cifar100"), name)
        self.assertFalse(belongs("cifar10-cpu", "cifar10", "cifar10"))

    def test_codes_stand_in_the_order_of_their_bits(self):
        order = ["plain", "transform-a0.0", "transform-a0.05", "coded4-a0.005", "coded10-a0.005",
                 "pe-same", "random"]
        self.assertEqual(sorted(reversed(order), key=results.place), order)

    def test_of_another_version_are_refused(self):
        with self.assertRaisesRegex(SystemExit, "record_version is 99, allowed is 2"):
            self.load({"record_version": 99})

    def test_only_trusted_cells_are_called_the_strongest(self):
        def cell(attack, ssim, exact=0, flags=(), n=1000):
            return {"protection": "p", "attack": attack, "flags": [{"id": f} for f in flags], "n": n,
                    "measures": {"ssim": {"median": ssim, "q1": ssim - 0.1, "q3": ssim + 0.1, "n": n}, "exact": exact}}

        cells = [cell("look", 0.9), cell("weak", 0.3), cell("flagged", 0.8, flags=["x"]),
                 cell("lower", 0.5, flags=["under_trained"])]
        self.assertEqual(results.strongest(cells, "p")["attack"], "lower")
        cells.append(cell("few", 0.53, n=64))
        self.assertEqual(results.strongest(cells, "p")["attack"], "lower", "within the interval of 64 pictures")
        cells[-1] = cell("few", 0.55, n=64)
        self.assertEqual(results.strongest(cells, "p")["attack"], "few")
        cells.append(cell("all", 0.4, exact=1))
        self.assertEqual(results.strongest(cells, "p")["attack"], "all")
        self.assertIsNone(results.strongest(cells, "q"))


class Bounds(unittest.TestCase):
    """What is recorded holds to what docs/bound.md promises."""

    def test_no_attack_beats_its_bound(self):
        bounded = 0
        for path in sorted((ROOT / "results").glob("*.json")):
            record = results.load(path)
            for cell in record["cells"]:
                self.assertNotIn("beats_bound", [flag["id"] for flag in cell.get("flags", [])], path)
            for p in record["protections"]:
                bound = p.get("bound")
                if not bound:
                    continue
                bounded += 1
                if bound.get("epsilon"):
                    self.assertLessEqual(bound["epsilon_seen"], bound["epsilon"], (path, p["label"]))
                cell = results.cell_of(record, p["label"], "retrieval")
                if not cell:
                    continue
                n = cell["candidates"]
                limit = results.picked_at_most(bound, n)
                chance = 3 * (limit * (1 - limit) / n) ** 0.5
                self.assertLessEqual(cell["measures"]["reidentified"], limit + chance, (path, p["label"]))
        self.assertGreater(bounded, 0)

    def test_who_picks_is_not_flagged_for_what_he_does_not_rebuild(self):
        cell = {"attack": "retrieval", "threat_model": {"auxiliary": "candidates"},
                "flags": [{"id": "weaker_than_trivial"}, {"id": "beats_bound"}]}
        record = results.without_outdated_flags({"cells": [cell]})
        self.assertEqual(record["cells"][0]["flags"], [{"id": "beats_bound"}])


class AttackPages(unittest.TestCase):
    def test_have_the_facts_at_their_head(self):
        for path in (ROOT / "docs" / "attacks").glob("*.md"):
            name, what, facts = results.attack_page(path)
            self.assertEqual(name, path.stem)
            self.assertTrue(what and facts["source"] and facts["cost"], path)
            self.assertLessEqual(max(map(len, path.read_text().splitlines())), 100, path)

    def test_without_them_are_refused(self):
        with tempfile.TemporaryDirectory() as name:
            path = pathlib.Path(name) / "x.md"
            path.write_text("# y: something\n")
            with self.assertRaisesRegex(SystemExit, "x.md: expected '# x: ...'"):
                results.attack_page(path)


if __name__ == "__main__":
    unittest.main()
