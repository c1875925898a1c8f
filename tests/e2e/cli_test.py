"""The command line from the outside: exit codes, messages, files.

usage: cli_test.py VEILNET
"""
import json
import pathlib
import random
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import zlib

import drawn_phi

VEILNET = sys.argv.pop(1)
SETTINGS = """
name = "t"
anyway = true
runs = "{runs}"
[compute]
threads = 1
[data]
train_size = 120
test_size = 30
[classifier]
depth = 8
epochs = 1
batch_size = 16
[phi]
file = "{phi}"
layer = "relu1_1"
[transform]
width = 2
epochs = 1
batch_size = 16
encoder_epochs = 1
[attack]
width = 2
epochs = 1
batch_size = 16
[curve]
alphas = [0.0]
epochs = 1
attack_epochs = 1
"""


def png(width, height):
    """A valid grey PNG with a gradient."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    rows = b"".join(b"\0" + bytes((x * 3 + y * 5) % 256 for x in range(width)) for y in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def noise(width, height, seed):
    """A valid RGB PNG of noise."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    draw = random.Random(seed)
    rows = b"".join(b"\0" + draw.randbytes(3 * width) for _ in range(height))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def png_size(data):
    return struct.unpack(">II", data[16:24])


class CommandLine(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.folder.cleanup)
        cls.root = pathlib.Path(cls.folder.name)
        cls.config = cls.root / "t.toml"
        cls.config.write_text(SETTINGS.format(runs=cls.root / "runs", phi=drawn_phi.write(cls.root / "phi.safetensors")))
        done = cls.veilnet("reproduce", "--config", cls.config, "--json", cls.root / "matrix.json", "--result", cls.root / "result.json")
        assert done.returncode == 0, done.stderr
        cls.h = cls.root / "runs/t/transform-a0.005/model.safetensors"
        cls.psi = cls.root / "runs/t/classifier/model.safetensors"
        cls.pictures = cls.root / "pictures"
        (cls.pictures / "sub").mkdir(parents=True)
        (cls.pictures / "a.png").write_bytes(png(40, 30))
        (cls.pictures / "sub" / "b.png").write_bytes(png(33, 35))

    @staticmethod
    def veilnet(*words, **more):
        return subprocess.run([VEILNET, *map(str, words)], capture_output=True, **more)

    def expect(self, code, parts, *words, **more):
        done = self.veilnet(*words, **more)
        text = (done.stderr + done.stdout).decode(errors="replace")
        self.assertEqual(done.returncode, code, text)
        for part in parts:
            self.assertIn(str(part), text)
        return done

    def out(self, name):
        return self.root / self.id() / name

    def test_reproduce_leaves_matrix_report_and_result(self):
        matrix = json.loads((self.root / "matrix.json").read_text())
        self.assertEqual([p["alpha"] for p in matrix["protections"]], [0.005, 0.0])
        for p in matrix["protections"]:
            for key in ("accuracy", "accuracy_float", "plain_accuracy"):
                self.assertIn(key, p)
        cells = {(c["protection"], c["attack"]): c for c in matrix["cells"]}
        self.assertEqual({attack for _, attack in cells}, {"look", "dictionary", "ridge", "itn"})
        self.assertEqual(len(cells), 8)
        for cell in cells.values():
            self.assertEqual(cell["n"], 30)
            self.assertIn("named", cell["measures"])  # wherever SSIM stands
        self.assertEqual(len(cells["transform-a0.005", "itn"]["values"]["psnr_db"]), 30)
        self.assertIn("named", matrix["baselines"][0]["measures"])
        result = json.loads((self.root / "result.json").read_text())
        for key in ("plain_accuracy", "protected_accuracy", "protected_accuracy_png8", "accuracy_gap_points", "ssim_plain_protected_mean",
                    "itn_images", "itn_psnr_db_mean", "itn_ssim_mean"):
            self.assertIn(key, result["metrics"])
        self.assertEqual(result["metrics"]["itn_images"], 30)
        page = (self.root / "runs/t/report.html").read_text()
        self.assertIn("transform-a0.005", page)
        self.assertIn("relu1_1 of phi.safetensors", page)  # phi's origin is said
        self.assertTrue((self.root / "runs/t/grid.png").exists())

    def test_reproduce_again_trains_nothing(self):
        before = self.h.stat().st_mtime_ns
        self.expect(0, ["transform-a0.005"], "reproduce", "--config", self.config)
        self.assertEqual(self.h.stat().st_mtime_ns, before)

    def copy_of_runs(self):
        runs = self.out("runs")
        shutil.copytree(self.root / "runs", runs)
        return runs

    def test_another_configuration_is_never_passed_off_as_the_finished_one(self):
        runs = self.copy_of_runs()
        words = ("--config", self.config, "--set", f"runs={runs}", "--set", "transform.epochs=2")
        before = {p.parent.relative_to(runs / "t"): p.read_bytes() for p in runs.rglob("model.safetensors")}
        for command in (("train", "transform"), ("evaluate",), ("train", "transform", "--resume"), ("attack", "itn")):
            self.expect(2, ["transform.epochs: 1 -> 2"], *command, *words)
        record = self.out("record.json")
        self.expect(0, [], "reproduce", *words, "--result", record)
        changed = {str(name) for name, model in before.items() if (runs / "t" / name / "model.safetensors").read_bytes() != model}
        self.assertEqual(changed, {"transform-a0.005", "transform-a0.005/attack-itn"})  # the curve has its own epochs
        self.assertIn("quick, 2 epochs", record.read_text())
        self.assertIn("alpha = 0.0\n", (runs / "t/curve-a0.0/config.toml").read_text())
        # How and where it is computed does not matter.
        self.expect(0, [], "evaluate", *words, "--set", "compute.threads=2", "--set", "checkpoint_minutes=1", "--set", "attack.width=2")

    def test_a_psi_that_did_not_learn_is_called_that(self):
        words = ("--config", self.config, "--set", f"runs={self.out('runs')}", "--set", "anyway=false")
        record = self.out("psi.json")
        record.parent.mkdir(parents=True)
        self.expect(0, ["did not learn: no better than chance"], "train", "classifier", *words, "--json", record)
        self.assertIn("did not learn", json.loads(record.read_text())["notes"]["verdict"])
        self.expect(2, ["did not learn", "--anyway"], "train", "transform", *words)
        self.expect(2, ["did not learn", "--anyway"], "reproduce", *words)
        self.expect(0, ["as --anyway says"], "train", "transform", *words, "--anyway")

    def test_folders_of_others_are_left_alone(self):
        runs = self.out("runs")
        notes = runs / "t" / "classifier" / "notes.txt"
        notes.parent.mkdir(parents=True)
        notes.write_text("mine")
        for flags in ((), ("--force",)):
            self.expect(1, ["notes.txt"], "train", "classifier", "--config", self.config, "--set", f"runs={runs}", *flags)
        self.assertEqual(notes.read_text(), "mine")
        pictures = self.out("home") / "Pictures"
        pictures.mkdir(parents=True)
        (pictures / "holiday.png").write_bytes(png(8, 8))
        self.expect(1, ["Pictures", "holiday.png"], "demo", "--force", "--set", "runs=.", "--set", "name=Pictures", cwd=pictures.parent)
        self.assertTrue((pictures / "holiday.png").exists())

    def test_two_at_once_in_one_run_folder(self):
        words = ("reproduce", "--config", self.config, "--set", f"runs={self.out('runs')}", "--set", "classifier.epochs=50")
        first = subprocess.Popen([VEILNET, *map(str, words)], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            log = self.out("runs") / "t/classifier/log.jsonl"
            while first.poll() is None and not log.exists():
                time.sleep(0.02)
            self.expect(1, ["in use", str(first.pid)], *words)
            self.assertIsNone(first.poll(), "the first goes on")
        finally:
            first.kill()
            first.wait()

    def test_train_scheme_then_evaluate(self):
        words = ("--config", self.config, "--scheme", "le", "--classifier", "resnet18", "--set", "name=s", "--set",
                 "data.train_size=40")
        self.expect(0, ["validation_accuracy"], "train", "scheme", *words)
        run = self.root / "runs/s/scheme-le"
        for name in ("config.toml", "log.jsonl", "model.safetensors"):
            self.assertTrue((run / name).exists(), name)
        self.expect(1, ["finished", "--force"], "train", "scheme", *words)
        self.expect(0, ["resnet18 behind adaptation tanaka", "498"], "evaluate", *words)
        self.assertIn("plain_accuracy", json.loads((run / "metrics.json").read_text())["protections"][0])
        self.expect(1, ["train scheme"], "evaluate", "--config", self.config, "--scheme", "ele")
        self.expect(2, ["scheme.id", "cat"], "train", "scheme", "--config", self.config, "--scheme", "cat")
        self.expect(2, ["scheme.id is \"\""], "train", "scheme", "--config", self.config)
        self.expect(2, ["key_mode", "pe"], "train", "scheme", "--config", self.config, "--scheme", "le", "--key-mode", "independent")

    def test_table1_measures_what_is_trained(self):
        results = self.out("results")
        words = ("reproduce", "table1", "--config", self.config, "--results", results,
                 "--set", 'table1.rows=["plain", "transform", "pe-independent", "gan"]')
        self.expect(0, ["| pe-independent | resnet-8 behind adaptation pixel |"], *words)
        names = ["plain", "transform-a0.005", "transform-a0.0", "pe-independent", "gan"]
        records = {name: results / f"table1-synthetic-{name}.json" for name in names}
        self.assertEqual(sorted(results.iterdir()), sorted(records.values()))
        for name, path in records.items():
            record = json.loads(path.read_text())
            self.assertIn("plain_accuracy", record["metrics"])
        measured = records["gan"].read_text()
        log = self.root / "runs/t/scheme-gan/log.jsonl"
        trained = log.read_bytes()
        stale = measured.replace('"accuracy"', '"precision"')
        records["gan"].write_text(stale)
        self.expect(0, ["row plain: kept", "row gan: kept", "--force", "| pe-independent | resnet-8"], *words)
        self.assertEqual(records["gan"].read_text(), stale)
        records["gan"].write_text("{}")
        self.expect(0, ["row gan is not shown", "table1-synthetic-gan.json"], *words)
        self.expect(0, ["| gan | resnet-8 |"], *words, "--force")
        self.assertEqual((records["gan"].read_text(), log.read_bytes()), (measured, trained), "measured again, not trained again")
        card = json.loads((self.root / "runs/t/scheme-gan/run.json").read_text())
        self.assertEqual(card["state"], "finished")
        self.expect(2, ["\"cat\" names no scheme", "gan, plain, transform"], "reproduce", "table1", "--config", self.config, "--set", 'table1.rows=["cat"]')

    def test_reproduce_refuses_before_it_trains(self):
        runs = self.out("runs")
        words = ("--config", self.config, "--set", f"runs={runs}")
        for what, parts, flags in [
                ("table1", ["--result is for `reproduce experiment`, not for `reproduce table1`"], ("--result", "r.json")),
                ("experiment", ["--results is for `reproduce table1`, `reproduce attacks`"], ("--results", "r")),
                ("experiment", ["--force is for `reproduce table1`"], ("--force",)),
                ("experiment", [str(self.root), "is a folder"], ("--result", self.root)),
                ("experiment", ["t.toml is no folder"], ("--result", self.config / "r.json")),
                ("table1", ["t.toml is no folder"], ("--results", self.config)),
                ("defences", ["cat", "known-plaintext"], ("--set", 'attacks.only=["cat"]')),
                ("defences", ["jpeg:200"], ("--set", 'attacks.transports=["jpeg:200"]')),
                ("defences", ["\"trasform\"", "transform, coded<bits>", "random"], ("--set", 'attacks.schemes=["trasform"]')),
                ("defences", ["attacks.schemes names \"le\" twice"], ("--set", 'attacks.schemes=["le", "transform", "le"]')),
                ("defences", ["\"coded4-eps0\": epsilon is 0; it must be above 0"], ("--set", 'attacks.schemes=["coded4-eps0"]')),
                ("experiment", ["transform.crop_padding is 40", "0 to 32"], ("--set", "transform.crop_padding=40")),
                ("table1", ["transform.crop_padding is 40", "0 to 32"], ("--set", "transform.crop_padding=40", "--results", self.out("r"))),
                ("defences", ["phi.layer \"relu3_1\""], ("--set", "phi.layer=relu3_1", "--set", 'attacks.schemes=["transform"]'))]:
            done = self.veilnet("reproduce", what, *words, *flags)
            text = (done.stderr + done.stdout).decode()
            self.assertIn(done.returncode, (1, 2), text)
            for part in parts:
                self.assertIn(part, text)
        self.assertFalse(runs.exists())

    def test_a_dry_run_of_defences_says_that_attacks_are_not_in_it(self):
        self.expect(0, ["all attacks on these defences"], "reproduce", "defences", "--dry-run", "--config", self.config, "--set",
                    'attacks.schemes=["transform"]')

    def test_continue_begins_takes_and_goes_on(self):
        words = ("--config", self.config, "--set", f"runs={self.out('runs')}", "--continue")
        for _ in range(2):
            self.expect(0, ["model: "], "train", "classifier", *words)
        self.expect(0, ["model: "], "train", "transform", *words)
        self.expect(2, ["classifier.epochs: 1 -> 2"], "train", "classifier", *words, "--set", "classifier.epochs=2")

    def test_audit_says_what_leaks(self):
        out = self.out("audit")
        small = [word for key in ("known=40", "attacked=20", "epochs=2", "optimised=2", "optimise_steps=4", "transports=[\"jpeg:50\"]") for word in ("--set", "attacks." + key)]
        run = self.root / "runs/t/transform-a0.005"
        self.expect(0, ["retrieval", "transform-a0.005", "Can a person see it?"], "audit", "--model", run, "-o", out, *small)
        audit = json.loads((out / "audit.json").read_text())
        cells = {cell["attack"]: cell for cell in audit["cells"]}
        self.assertEqual({cell["protection"] for cell in audit["cells"]}, {"transform-a0.005"})
        for attack in ("itn", "itn-perceptual", "itn-ensemble", "flow", "itn-tuned", "deep-prior", "optimise", "retrieval"):
            self.assertEqual(cells[attack]["threat_model"]["access"], "public_transform")
        self.assertIn("refused", cells["chosen-plaintext"])
        self.assertIn("accuracy", audit["protections"][0])
        self.assertEqual({curve["budget_name"]: [p["budget"] for p in curve["points"]] for curve in audit["curve"]}, {"pairs": [40], "epochs": [1, 2]})
        self.assertIn("transform-a0.005", (out / "audit.html").read_text())
        limits = self.out("limits.toml")
        limits.write_text("[limits]\nssim = 1.0\naccuracy = 0\n")
        self.expect(0, [], "audit", "--model", run, "-o", out, "--gate", limits, *small)
        limits.write_text("[limits]\nssim = 0.0\naccuracy = 1\n")
        self.expect(3, ["EXCEEDED: ", "allowed at most 0", "accuracy is", "2 limits"], "audit", "--model", run, "-o", out, "--gate", limits,
                    *small)
        limits.write_text("[limits]\nssmi = 0.0\n")
        self.expect(2, ["limits.ssmi", "limits.ssim"], "audit", "--model", run, "-o", out, "--gate", limits, *small)
        self.expect(2, ["classifier", "transform-a"], "audit", "--model", self.root / "runs/t/classifier")
        self.expect(1, ["config.toml"], "audit", "--model", self.root / "runs/t/transform-a7")
        self.expect(2, ["budget", "huge"], "audit", "--model", run, "--budget", "huge")
        self.expect(2, ["jpeg:200"], "audit", "--model", run, "--set", 'attacks.transports=["jpeg:200"]')

    def test_reproduce_attacks_records_the_matrix(self):
        results = self.out("results")
        words = ("reproduce", "attacks", "--config", self.config, "--results", results, "--set", 'attacks.schemes=["le", "random"]',
                 "--set", "attacks.known=40", "--set", "attacks.attacked=20", "--set", "attacks.epochs=1", "--set", "attacks.transports=[]",
                 "--set", "attacks.attributes=false")
        self.expect(0, ["chosen-plaintext", "| le |"], *words)
        record = json.loads((results / "attacks-synthetic.json").read_text())
        self.assertEqual(record["metrics"]["chosen_plaintext_le_exact"], 1.0)
        self.assertFalse(any(cell.get("values") for cell in record["cells"]))
        few = self.out("few.json")
        self.expect(0, ["| le |"], *words, "--set", 'attacks.only=["fr", "known-plaintext"]', "--json", few)
        self.assertEqual({cell["attack"] for cell in json.loads(few.read_text())["cells"]}, {"fr", "known-plaintext"})
        self.expect(2, ["cat", "known-plaintext"], *words, "--set", 'attacks.only=["cat"]')

    def test_any_attack_of_the_table_runs_alone(self):
        small = [word for key in ("known=40", "attacked=20", "epochs=1") for word in ("--set", "attacks." + key)]
        one = self.out("one.json")
        for attack, on in (("retrieval", "le"), ("itn", "transform"), ("chosen-plaintext", "le"), ("fr", "pe-independent")):
            self.expect(0, [attack], "attack", attack, "--on", on, "--config", self.config, "--json", one, *small)
            cells = json.loads(one.read_text())["cells"]
            self.assertEqual([cell["attack"] for cell in cells], [attack])
            self.assertNotIn("refused", cells[0])
        brute = ("attack", "brute-force", "--config", self.config, "--json", one, *small, "--on")
        self.expect(0, [], *brute, "le")
        self.assertIn("2^64", json.loads(one.read_text())["cells"][0]["refused"])
        self.expect(0, [], *brute, "le-block1", "--set", "scheme.block_size=1")  # 720 keys
        self.assertEqual(json.loads(one.read_text())["cells"][0]["measures"]["exact"], 1)
        self.expect(2, ["--on"], "attack", "gan", "--config", self.config)
        self.expect(2, ["\"cat\"", "pe-same"], "attack", "gan", "--on", "cat", "--config", self.config)

    def test_chosen_plaintext_recovers_every_picture(self):
        out, record = self.out("broken"), self.out("record.json")
        self.expect(0, ["exact"], "attack", "chosen-plaintext", "--scheme", "le", self.pictures, "-o", out, "--json", record)
        told = json.loads(record.read_text())
        self.assertIn("chosen_plaintext", json.dumps(told))
        self.expect(2, ["blur"], "attack", "chosen-plaintext", "--scheme", "blur", self.pictures, "-o", out)
        self.expect(2, ["block-size"], "attack", "chosen-plaintext", "--scheme", "pe", "--block-size", "4", self.pictures, "-o", out)

    def test_protect_folder_keeps_names_and_never_overwrites(self):
        out = self.out("o")
        self.expect(0, ["2 of 2"], "protect", self.pictures, "--model", self.h, "-o", out)
        self.assertEqual(sorted(str(p.relative_to(out)) for p in out.rglob("*.png")), ["a.png", "sub/b.png"])
        self.assertEqual(png_size((out / "a.png").read_bytes()), (32, 32))
        self.expect(1, ["a.png", "exists"], "protect", self.pictures, "--model", self.h, "-o", out)
        self.expect(0, ["2 of 2"], "protect", self.pictures, "--model", self.h, "-o", out, "--force")

    def test_protect_keeps_the_size_when_asked(self):
        out = self.out("o")
        self.expect(0, [], "protect", self.pictures / "sub" / "b.png", "--model", self.h, "-o", out, "--keep-size")
        self.assertEqual(png_size((out / "b.png").read_bytes()), (33, 35))

    def test_protect_standard_input(self):
        done = self.expect(0, [], "protect", "-", "--model", self.h, input=png(50, 20))
        self.assertEqual(png_size(done.stdout), (32, 32))
        self.expect(1, ["standard input"], "protect", "-", "--model", self.h, input=b"no picture")
        folder = self.out("of-stdin")
        for _ in range(2):  # a folder that is not there, and one that is
            self.expect(0, [], "protect", "-", "--model", self.h, "-o", folder, "--force", input=png(50, 20))
        self.assertEqual([path.name for path in folder.iterdir()], ["standard input.png"])

    def test_protect_goes_on_after_a_bad_picture_and_fails_at_the_end(self):
        source = self.out("i")
        source.mkdir(parents=True)
        (source / "bad.png").write_bytes(png(20, 20)[:60])
        (source / "good.png").write_bytes(png(20, 20))
        self.expect(1, ["bad.png", "1 of 2 pictures failed"], "protect", source, "--model", self.h, "-o", self.out("o"))
        self.assertEqual([p.name for p in self.out("o").iterdir()], ["good.png"])

    def test_protect_gives_two_inputs_with_one_name_two_names(self):
        out = self.out("o")
        self.expect(0, ["2 of 2"], "protect", self.pictures / "a.png", self.pictures / "a.png", "--model", self.h, "-o", out)
        self.assertEqual(sorted(path.name for path in out.iterdir()), ["a-2.png", "a.png.png"])

    def test_protect_refuses_a_classifier_and_a_missing_model(self):
        self.expect(1, [self.psi, "transform"], "protect", self.pictures, "--model", self.psi, "-o", self.out("o"))
        self.expect(1, ["none.safetensors"], "protect", self.pictures, "--model", self.root / "none.safetensors", "-o", self.out("o"))
        self.expect(1, ["nowhere"], "protect", self.root / "nowhere", "--model", self.h, "-o", self.out("o"))
        self.expect(2, ["--output"], "protect", self.pictures, "--model", self.h)

    def test_classify_plain_and_protected(self):
        out = self.out("o")
        self.expect(0, [], "protect", self.pictures, "--model", self.h, "-o", out)
        self.out("j").parent.mkdir(parents=True, exist_ok=True)
        self.expect(0, ["a.png", "%"], "classify", self.pictures, out, "--model", self.psi, "--top-k", 4, "--json", self.out("j"))
        results = json.loads(self.out("j").read_text())["results"]
        self.assertEqual(len(results), 4)
        for result in results:
            probabilities = [t["probability"] for t in result["top"]]
            self.assertEqual(len(probabilities), 4)
            self.assertEqual(probabilities, sorted(probabilities, reverse=True))

    def test_other_sizes_are_warned_of(self):
        out = self.out("o")
        words = ["protect", self.pictures, "--model", self.h, "-o", out]
        self.assertNotIn(b"warning", self.expect(0, [], *words).stderr)
        self.expect(0, ["warning", "2 pictures are not of 32x32"], *words, "--force", "--keep-size")
        self.expect(0, ["warning", "2 pictures were brought to 32x32"], "classify", out, "--model", self.psi)

    def test_a_model_may_be_a_folder(self):
        runs, record = self.out("runs"), self.out("record.json")
        def protect(code, parts, model, *more):
            self.expect(code, parts, "protect", self.pictures / "a.png", "--model", model, "-o", self.out("o"), "--force", "--json", record,
                        *more)
            return pathlib.Path(json.loads(record.read_text())["model"]).parent.name if code == 0 else None
        self.assertEqual(protect(0, [], self.h.parent), "transform-a0.005")
        self.assertEqual(protect(0, [], self.root / "runs/t"), "transform-a0.005")
        self.expect(0, ["a.png"], "classify", self.pictures, "--model", self.root / "runs/t")
        protect(2, ["--strength"], self.h, "--strength", "low")
        self.assertEqual(protect(0, [], self.root / "runs/t", "--strength", "high"), "transform-a0.005")
        self.assertEqual(protect(0, [], self.root / "runs/t", "--strength", "low"), "curve-a0.0")
        for alpha in ("0.1", "0.01", "10.0"):
            shutil.copytree(self.h.parent, runs / f"transform-a{alpha}")
        protect(2, ["0.01, 0.1, 10", "--strength low or high or mid"], runs)
        for strength, alpha in (("low", "0.01"), ("mid", "0.1"), ("high", "10.0")):
            self.assertEqual(protect(0, [], runs, "--strength", strength), f"transform-a{alpha}")
        shutil.rmtree(runs / "transform-a0.01")
        protect(2, ["0.1, 10"], runs, "--strength", "mid")
        protect(1, ["transform-a*"], self.pictures)
        self.expect(1, ["classifier"], "classify", self.pictures, "--model", runs)

    def test_chance_on_a_code_gives_one_answer_to_one_picture(self):
        coded = ["--set", 'transform.kind="coded"', "--set", "transform.bits=2", "--set", f"runs={self.out('coded-runs')}"]
        self.expect(0, [], "train", "classifier", "--config", self.config, *coded)
        self.expect(0, [], "train", "transform", "--config", self.config, *coded)
        model = self.out("coded-runs") / "t" / "coded2-a0.005"
        photos, secret, other = self.out("many"), self.out("one.secret"), self.out("two.secret")
        photos.mkdir()
        for i in range(40):
            (photos / f"{i:02}.png").write_bytes(noise(32, 32, i))
        for path in (secret, other):
            self.expect(0, [], "keygen", "--secret", "-o", path)

        def protect(name, *words, code=0, parts=()):
            out = self.out(name)
            self.expect(code, parts, "protect", photos, "--model", model, "-o", out, *words)
            return [p.read_bytes() for p in sorted(out.glob("*.png"))]
        certain = protect("certain")
        self.assertLessEqual(len(set(certain)), 4)
        book = self.out("book")
        self.expect(0, ["of 4 pictures differ"], "export", "--model", model / "model.safetensors", "--format", "codebook", "-o", book)
        pages = [path.read_bytes() for path in sorted(book.glob("*.png"))]
        self.assertEqual(len(pages), 4)
        self.assertEqual(json.loads((book / "codebook.json").read_text())["distinct"], len(set(pages)))
        self.assertLessEqual(set(certain), set(pages), "every protected picture is one of the codebook's, byte for byte")
        self.expect(2, ["a codebook is written of coded"], "export", "--model", self.root / "runs/t/transform-a0.005/model.safetensors",
                    "--format", "codebook", "-o", self.out("none"))
        chance = protect("chance", "--epsilon", "0.5", "--secret", secret, "--json", self.out("chance.json"))
        self.assertEqual(chance, protect("again", "--epsilon", "0.5", "--secret", secret))
        self.assertNotEqual(chance, protect("others", "--epsilon", "0.5", "--secret", other))
        self.assertEqual(len(set(chance)), 4, "all codes are answered, of whatever picture")
        record = json.loads(self.out("chance.json").read_text())
        self.assertEqual(record["epsilon"], 0.5)
        self.assertAlmostEqual(record["kept"], 0.3546, places=3)
        self.assertIn("keeps 35.5 % of the codes of 2 bits", record["epsilon_warning"])
        verify = ["verify", photos, self.out("chance"), "--model", model, "--max-ssim", "1"]
        self.expect(1, ["not made by this model"], *verify)
        self.expect(0, ["yes: 40 of 40"], *verify, "--epsilon", "0.5", "--secret", secret)
        self.expect(1, ["not made by this model"], *verify, "--epsilon", "0.5", "--secret", other)
        self.expect(0, [], "client", photos, "--model", model, "--epsilon", "0.5", "--secret", secret, "--dry-run", "-o", self.out("sent"))
        self.assertEqual(chance, [p.read_bytes() for p in sorted(self.out("sent").glob("*.png"))])
        self.assertEqual(certain, protect("sure", "--epsilon", "39", "--secret", secret, parts=["above 8"]))
        self.expect(0, ["1 of 1"], "protect", photos / "00.png", "--model", model.parent, "-o", self.out("by-experiment"))
        self.assertEqual((self.out("by-experiment") / "00.png").read_bytes(), certain[0])
        self.expect(2, ["coded h", "fp32 only", "int8"], "bench", "--model", model / "model.safetensors", "--precision", "int8")
        self.expect(2, ["coded h", "fp32 only"], "calibrate", photos, "--model", model / "model.safetensors", "-o", self.out("int8"))
        protect("no", "--epsilon", "1", code=2, parts=["--secret", "keygen --secret"])
        protect("no", "--secret", secret, code=2, parts=["--epsilon"])
        protect("no", "--epsilon", "0", "--secret", secret, code=2, parts=["epsilon is 0", "above 0"])
        self.assertFalse(self.out("no").exists())
        self.expect(2, ["unet width 2", "no code"], "protect", photos, "--model", self.h, "-o", self.out("no"), "--epsilon", "1",
                    "--secret", secret)

    def test_a_pytorch_file_is_recognised(self):
        model = self.out("h.pth")
        model.parent.mkdir(parents=True)
        model.write_bytes(b"PK\x03\x04" + bytes(100))
        self.expect(1, ["h.pth: is a PyTorch file", "safetensors.torch"], "protect", self.pictures, "--model", model, "-o", self.out("o"))

    def test_verify_tells_whether_protecting_worked(self):
        source, out, record = self.out("i"), self.out("o"), self.out("record.json")
        (source / "sub").mkdir(parents=True)
        for i in range(4):
            (source / f"{i}.png").write_bytes(noise(32, 32, i))
        (source / "sub/large.png").write_bytes(noise(50, 40, 9))
        words = ["verify", source, out, "--model", self.h, "--max-ssim", 1, "--json", record]
        self.expect(0, ["5 of 5"], "protect", source, "--model", self.h, "-o", out)
        done = self.expect(0, ["5 pairs: mean SSIM", "yes: 5 of 5 hidden"], *words)
        self.assertNotIn(b"warning", done.stderr)
        told = json.loads(record.read_text())
        self.assertEqual([one["of_this_model"] for one in told["results"]], [True] * 5)
        self.expect(0, ["yes: 3 of 3"], *words, "--shard", "1/2")
        self.expect(0, ["yes: 1"], "verify", source / "0.png", out / "0.png", "--model", self.h, "--max-ssim", 1)
        self.expect(2, ["plain picture is -"], "verify", "-", out / "0.png", "--model", self.h, input=png(32, 32))
        # At their own size, too.
        self.expect(0, [], "protect", source, "--model", self.h, "-o", self.out("kept"), "--keep-size")
        self.expect(0, ["yes: 5"], "verify", source, self.out("kept"), "--model", self.h, "--max-ssim", 1)

        # Not protected; another picture; missing; of a size that cannot be.
        shutil.copy(source / "1.png", out / "1.png")
        shutil.copy(source / "3.png", out / "2.png")
        (out / "3.png").unlink()
        (out / "0.png").write_bytes(noise(20, 20, 1))
        self.expect(1, ["NO: 1 of 3 hidden", "2 not made by this model", "3.png: no such file", "0.png: is 20x20",
                        "1.png  not this model's output"], *words)
        told = json.loads(record.read_text())
        self.assertEqual((told["not_of_this_model"], len(told["failed"])), (2, 2))
        self.expect(1, ["too similar"], "verify", source / "sub", out / "sub", "--model", self.h, "--max-ssim", 0)

    def test_verify_warns_of_pictures_unlike_the_measured_ones(self):
        source = self.out("i")
        source.mkdir(parents=True)
        (source / "grey.png").write_bytes(png(32, 32))
        (source / "small.png").write_bytes(noise(20, 20, 1))
        (source / "wide.png").write_bytes(noise(90, 32, 2))
        self.expect(0, [], "protect", source, "--model", self.h, "-o", self.out("o"))
        self.expect(0, ["warning", "1 smaller", "1 cut by a quarter", "1 without colour"], "verify", source, self.out("o"), "--model", self.h,
                    "--max-ssim", 1)

    def test_data_exports_a_folder_that_loads_again(self):
        out = self.out("set")
        self.expect(0, ["synthetic", "SHA-256"], "data", "--config", self.config, "--export", out, "--grid", self.out("grid.png"))
        self.expect(0, ["120 training", "30 test"], "data", "--set", "data.source=folder", "--set", f"data.path={out}")

    def test_wrong_usage_exits_with_2(self):
        self.expect(2, ["unknown", "nonsense"], "data", "--set", "nonsense=1")
        self.expect(2, [], "no-such-command")
        self.expect(2, [], "train")
        self.expect(2, ["data.train_size", "5"], "data", "--set", "data.train_size=5")

    def test_missing_parts_are_named(self):
        self.expect(1, ["classifier"], "train", "transform", "--set", f"runs={self.out('empty')}")
        self.expect(1, ["train transform"], "evaluate", "--config", self.config, "--set", "transform.alpha=0.5", "--set", "curve.alphas=[]")
        self.expect(1, ["matrix.json"], "report", self.root / "runs")
        self.expect(1, ["missing.toml"], "data", "--config", self.root / "missing.toml")

    def test_print_config_is_a_configuration(self):
        done = self.expect(0, ["[transform]"], "train", "transform", "--config", self.config, "--print-config")
        again = self.out("again.toml")
        again.parent.mkdir(parents=True, exist_ok=True)
        again.write_bytes(done.stdout)
        self.assertEqual(self.veilnet("train", "transform", "--config", again, "--print-config").stdout, done.stdout)


if __name__ == "__main__":
    unittest.main(verbosity=2)
