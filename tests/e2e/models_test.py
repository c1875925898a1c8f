"""What is done with models without LibTorch: export, calibrate, precision, bench.

usage: models_test.py VEILNET
"""
import json
import math
import pathlib
import random
import re
import struct
import subprocess
import sys
import tempfile
import unittest
import zipfile
import zlib

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
DATA = pathlib.Path(__file__).parents[1] / "data"
ZOO = pathlib.Path(__file__).parents[2] / "models"
H, PSI = DATA / "transform-format1.safetensors", DATA / "classifier-format1.safetensors"


def png(seed):
    """A valid 32x32 RGB PNG of noise."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    draw = random.Random(seed)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 32, 32, 8, 2, 0, 0, 0))
            + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + draw.randbytes(96) for _ in range(32)), 1)) + chunk(b"IEND", b""))


def metadata(path):
    data = path.read_bytes()
    return json.loads(data[8:8 + struct.unpack("<Q", data[:8])[0]])["__metadata__"]


def stripped(model):
    """A model's weights as a state dict from PyTorch: without a card, with num_batches_tracked."""
    data = model.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8:8 + size]), data[8 + size:]
    del header["__metadata__"]
    for name in [n for n in header if n.endswith("running_mean")]:
        header[name.replace("running_mean", "num_batches_tracked")] = {
            "dtype": "I64", "shape": [], "data_offsets": [len(body), len(body) + 8]}
        body += struct.pack("<q", 7)
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def safetensors(tensors):
    """name -> (shape, floats)"""
    header, body = {}, b""
    for name, (shape, values) in tensors.items():
        data = struct.pack(f"<{len(values)}f", *values)
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(body), len(body) + len(data)]}
        body += data
    text = json.dumps(header).encode()
    return struct.pack("<Q", len(text)) + text + body


def text_format(text):
    """A message in Protocol Buffers' text format: field -> its values, messages among them."""
    words = re.findall(r'"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|-?[0-9.]+|[][{}:,]', text)
    left = re.sub(r'"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*|-?[0-9.]+|[][{}:,]|\s', "", text)
    assert not left, f"not of the format: {left!r}"

    def value():
        word = words.pop(0)
        if word == "[":
            values = []
            while words[0] != "]":
                values.append(value())
                if words[0] == ",":
                    words.pop(0)
            words.pop(0)
            return values
        if word == "{":
            return message("}")
        return word[1:-1] if word[0] == '"' else int(word) if re.fullmatch("-?[0-9]+", word) else word

    def message(end):
        fields = {}
        while words and words[0] != end:
            name = words.pop(0)
            if words[0] == ":":
                words.pop(0)
            else:
                assert words[0] in "[{", f"{name}: a value needs a colon"
            found = value()
            fields.setdefault(name, []).extend(found if isinstance(found, list) else [found])
        if end:
            words.pop(0)
        return fields
    fields = message(None)
    assert not words
    return fields


# What Triton's model_config.proto has of what is written, and of which kind it is.
CONFIG = {"name": str, "backend": str, "max_batch_size": int, "input": dict, "output": dict, "dynamic_batching": dict,
          "instance_group": dict}
TENSOR = {"name": str, "data_type": str, "dims": int, "label_filename": str}


# What plain PyTorch computes of a TorchScript file, as `veilnet bench --against` wants it: of h before the sigmoid.
PYTORCH = """
import json, struct, sys
import torch
torch.manual_seed(1)
pictures = torch.randint(0, 256, (3, 3, 32, 32)) / 255
output = torch.jit.load(sys.argv[1])(pictures)
header, body = {}, b""
for name, t in (("pictures", pictures), ("output", output)):
    data = struct.pack(f"<{t.numel()}f", *t.flatten().tolist())
    header[name] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [len(body), len(body) + len(data)]}
    body += data
text = json.dumps(header).encode()
open(sys.argv[2], "wb").write(struct.pack("<Q", len(text)) + text + body)
"""


def python_with_torch():
    for python in (sys.executable, "/usr/bin/python3"):
        if subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0:
            return python
    return None


class Models(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.photos = self.root / "photos"
        self.photos.mkdir()
        for i in range(4):
            (self.photos / f"{i}.png").write_bytes(png(i))

    def expect(self, code, parts, *words):
        done = subprocess.run([VEILNET, *map(str, words)], capture_output=True, text=True)
        self.assertEqual(done.returncode, code, done)
        for part in parts:
            self.assertIn(part, done.stderr + done.stdout)
        return done

    def test_export_writes_onnx_and_a_triton_folder(self):
        onnx = self.root / "psi.onnx"
        self.expect(0, ["32x32"], "export", "--model", PSI, "-o", onnx)
        data = onnx.read_bytes()
        for part in (b"pictures", b"logits", b"Conv", b"Div", b"veilnet-model", b"conv1.conv.0.weight"):
            self.assertIn(part, data)
        self.expect(1, ["psi.onnx: exists"], "export", "--model", PSI, "-o", onnx)
        self.expect(0, ["48x32"], "export", "--model", H, "--size", "48x32", "-o", onnx, "--force")
        self.assertIn(b"Sigmoid", onnx.read_bytes())
        self.expect(2, ["--size", "WIDTHxHEIGHT"], "export", "--model", PSI, "--size", "32", "-o", onnx, "--force")

        folder = self.root / "repository" / "psi"
        self.expect(0, [], "export", "--model", PSI, "--format", "triton", "-o", folder)
        config = text_format((folder / "config.pbtxt").read_text())
        for known, fields in ((CONFIG, config), (TENSOR, config["input"][0]), (TENSOR, config["output"][0])):
            for field, values in fields.items():
                self.assertIn(field, known)
                self.assertTrue(all(isinstance(v, known[field]) for v in values), (field, values))
        self.assertEqual((config["name"], config["backend"], config["max_batch_size"]), (["psi"], ["onnxruntime"], [64]))
        self.assertEqual(config["input"], [{"name": ["pictures"], "data_type": ["TYPE_FP32"], "dims": [3, 32, 32]}])
        self.assertEqual(config["output"], [{"name": ["logits"], "data_type": ["TYPE_FP32"], "dims": [2],
                                             "label_filename": ["labels.txt"]}])
        self.assertEqual(config["dynamic_batching"][0].keys(), {"preferred_batch_size", "max_queue_delay_microseconds"})
        self.assertTrue(all(size <= 64 for size in config["dynamic_batching"][0]["preferred_batch_size"]))
        self.assertEqual(config["instance_group"], [{"count": [1], "kind": ["KIND_CPU"]}])
        for tensor in ("pictures", "logits"):  # the names that the ONNX file beside it has
            self.assertIn(tensor.encode(), data)
        self.expect(2, ["folder's name"], "export", "--model", PSI, "--format", "triton", "-o", "/")
        self.assertEqual((folder / "labels.txt").read_text(), "cat\ndog\n")
        self.assertEqual((folder / "1" / "model.onnx").read_bytes(), data)
        self.expect(2, ["letters"], "export", "--model", PSI, "--format", "triton", "-o", self.root / 'a "b"')

    def test_an_encoder_and_a_codebook_are_the_whole_client(self):
        h, book, encoder = ZOO / "synthetic-h.safetensors", self.root / "book", self.root / "encoder.safetensors"
        self.expect(0, ["of 1024 pictures differ"], "export", "--model", h, "--format", "codebook", "-o", book)
        self.expect(0, ["encoder.safetensors"], "export", "--model", h, "--format", "encoder", "-o", encoder)
        self.assertLess(encoder.stat().st_size, h.stat().st_size)

        def protect(name, *words):
            self.expect(0, [], "protect", self.photos, "-o", self.root / name, *words)
            return [path.read_bytes() for path in sorted((self.root / name).glob("*.png"))]
        whole = protect("whole", "--model", h)
        self.assertEqual(len(whole), 4)
        self.assertEqual(protect("parts", "--model", encoder, "--codebook", book), whole)
        # What is shown is the codebook's, whatever this machine would draw.
        for path in book.glob("*.png"):
            path.write_bytes(png(int(path.stem)))
        self.assertNotEqual(protect("shown", "--model", h, "--codebook", book), whole)
        self.expect(1, ["NO: 0 of 4"], "verify", self.photos, self.root / "shown", "--model", h, "--max-ssim", "1")
        self.expect(0, ["yes: 4"], "verify", self.photos, self.root / "shown", "--model", encoder, "--codebook", book, "--max-ssim", "1")

        words = ["protect", self.photos, "-o", self.root / "none"]
        self.expect(2, ["encoder alone", "--format codebook"], *words, "--model", encoder)
        self.expect(2, ["no code"], *words, "--model", H, "--codebook", book)
        self.expect(1, ["classifier model"], *words, "--model", PSI)
        about = json.loads((book / "codebook.json").read_text())
        (book / "codebook.json").write_text(json.dumps(about | {"model_sha256": "00"}))
        self.expect(2, ["is the codebook of the model 00"], *words, "--model", encoder, "--codebook", book)
        self.assertFalse((self.root / "none").exists())
        self.expect(2, ["encoder alone", "whole model"], "export", "--model", encoder, "-o", self.root / "e.onnx")
        self.expect(2, ["has no code"], "export", "--model", H, "--format", "encoder", "-o", self.root / "e.safetensors")
        self.expect(2, ["--size 64x64", "one size"], "export", "--model", h, "--format", "codebook", "--size", "64x64", "-o", self.root / "b")

    def test_models_are_found_by_name(self):
        if not (ZOO / "index.json").exists():
            self.skipTest("no models/ here")
        listed, psi = self.root / "listed.onnx", ZOO / "synthetic-psi.safetensors"
        self.expect(0, [], "export", "--model", "synthetic-psi", "-o", listed)
        self.expect(0, [], "export", "--model", psi, "-o", self.root / "file.onnx")
        self.assertEqual(listed.read_bytes(), (self.root / "file.onnx").read_bytes())
        self.expect(0, ["4 pictures"], "calibrate", self.photos, "--model", "synthetic-psi", "-o", self.root / "int8")
        self.expect(0, ["pictures/s"], "bench", "--model", "synthetic-psi", "--batch", "1", "--seconds", "0.1")
        for command in (("export", "-o", listed), ("bench",), ("calibrate", self.photos, "-o", self.root / "other")):
            self.expect(1, ["nobody's", "no such file, nor the name"], *command, "--model", "nobody's")

    def test_export_writes_torchscript(self):
        module = self.root / "h.pt"
        self.expect(0, ["h.pt"], "export", "--model", H, "--format", "torchscript", "-o", module)
        with zipfile.ZipFile(module) as archive:
            self.assertIsNone(archive.testzip())
            self.assertIn("torch.sigmoid", archive.read("veilnet/code/__torch__.py").decode())
            card = json.loads(archive.read("veilnet/extra/card.json"))
        self.assertEqual(card, metadata(H))
        self.expect(1, ["h.pt: exists"], "export", "--model", H, "--format", "torchscript", "-o", module)
        self.expect(2, ["--size 48x32", "every size"], "export", "--model", H, "--format", "torchscript", "--size", "48x32",
                    "-o", module, "--force")

    def test_pytorch_computes_what_torchscript_says(self):
        python = python_with_torch()
        if not python:
            self.skipTest("no Python with PyTorch (python3-torch)")
        for model in (ZOO / "cifar10-h.safetensors", ZOO / "cifar10-psi.safetensors"):
            module, stored, record = (self.root / name for name in ("m.pt", "m.safetensors", "m.json"))
            self.expect(0, [], "export", "--model", model, "--format", "torchscript", "-o", module, "--force")
            subprocess.run([python, "-c", PYTORCH, module, stored], check=True)
            self.expect(0, [], "bench", "--model", model, "--against", stored, "--json", record)
            against = json.loads(record.read_text())["against"]
            self.assertLess(against["max"], 1e-4)
            self.assertEqual("equal_share" in against, model.stem == "cifar10-h")
            self.assertGreater(against.get("equal_share", 1), 0.99)
            self.assertLessEqual(against.get("most_levels", 0), 1)

    def test_import_makes_the_models_that_the_weights_came_from(self):
        labels = self.root / "batches.meta.txt"
        labels.write_text("\n".join(json.loads(metadata(ZOO / "cifar10-psi.safetensors")["class_names"])) + "\n\n")
        for name, command, options in (
                ("cifar10-psi", "classify", ["--role", "classifier", "--architecture", "resnet", "--labels", labels]),
                ("cifar10-h", "protect", ["--role", "transform", "--architecture", "unet"])):
            weights, model = self.root / "weights.safetensors", self.root / f"{name}.safetensors"
            weights.write_bytes(stripped(ZOO / f"{name}.safetensors"))
            self.expect(0, [model.name], "import", weights, *options, "--size", "32x32", "-o", model)
            self.expect(1, ["exists"], "import", weights, *options, "--size", "32x32", "-o", model)
            results = []
            for used in (ZOO / f"{name}.safetensors", model):
                out = self.root / f"out-{len(results)}-{name}"
                words = ["--json", out] if command == "classify" else ["-o", out]
                self.expect(0, [], command, self.photos, "--model", used, *words)
                results.append(json.loads(out.read_text())["results"] if command == "classify"
                               else [(out / f"{i}.png").read_bytes() for i in range(4)])
            self.assertEqual(*results)
        own = [0.4914, 0.4822, 0.4465], [0.247, 0.2435, 0.2616]
        weights.write_bytes(stripped(ZOO / "cifar10-psi.safetensors"))
        psi = ["import", weights, "--role", "classifier", "--architecture", "resnet", "--size", "32x32", "-o", model, "--force"]
        self.expect(0, [], *psi, "--labels", labels, "--mean", ",".join(map(str, own[0])), "--std", ",".join(map(str, own[1])))
        self.assertEqual((json.loads(metadata(model)["mean_rgb"]), json.loads(metadata(model)["std_rgb"])), own)
        self.expect(2, ["--labels"], *psi)
        self.expect(2, ["--mean"], *psi, "--labels", labels, "--mean", "0.5,0.5")
        self.expect(2, ["--mean", "nan is not allowed"], *psi, "--labels", labels, "--mean", "0.5,nan,0.5")
        labels.write_text("cat\n\ndog\n")
        self.expect(2, [f"{labels}:2", "cannot name a class"], *psi, "--labels", labels)
        labels.write_text("cat\ndog\n")
        self.expect(1, ["linear.weight", "[10, 64]", "[2, 64]"], *psi, "--labels", labels)
        (self.root / "psi.pth").write_bytes(b"PK\x03\x04")
        self.expect(1, ["psi.pth", "convert it"], *psi[:1], self.root / "psi.pth", *psi[2:], "--labels", labels)

    def test_int8_needs_a_calibrated_model_and_stays_near(self):
        self.expect(2, [str(H), "calibrate"], "protect", self.photos, "--model", H, "--precision", "int8", "-o", self.root / "no")
        h = self.root / "h.safetensors"
        self.expect(0, ["4 pictures"], "calibrate", self.photos, "--model", H, "-o", h)
        self.expect(1, ["exists"], "calibrate", self.photos, "--model", H, "-o", h)
        notes = json.loads(metadata(h)["notes"])
        self.assertEqual(notes["alpha"], "0.01")
        self.assertRegex(notes["int8.ranges"], r"^\d+( \d+:[0-9.e+-]+)+$")
        for precision in ("fp32", "bf16", "int8"):
            out = self.root / precision
            self.expect(0, ["4 of 4"], "protect", self.photos, "--model", h, "--precision", precision, "-o", out)
            self.expect(0, [], "verify", self.photos, out, "--model", h, "--precision", precision, "--max-ssim", "1")
            self.expect(0, [], "classify", out, "--model", PSI, "--precision", "bf16")
        broken = self.root / "broken.safetensors"
        broken.write_bytes(h.read_bytes().replace(notes["int8.ranges"][:6].encode(), b"999999"))
        self.expect(1, ["broken.safetensors", "int8.ranges"], "protect", self.photos, "--model", broken, "--precision", "int8",
                    "-o", self.root / "no")

    def test_bench_prints_times_layers_and_distances(self):
        record = self.root / "bench.json"
        for precision in ("fp32", "bf16", "int8"):
            done = self.expect(0, ["pictures/s", "conv1.conv.3"], "bench", "--model", H, "--batch", "1,3", "--seconds", "0.01", "--profile",
                               "--precision", precision, "--json", record)
            written = json.loads(record.read_text())
            self.assertGreater(written["fp32_peak_gflop_per_s"], 1)
            batches = written["batches"]
            self.assertGreater(batches[0]["share_of_fp32_peak"], 0)
            self.assertEqual([b["batch"] for b in batches], [1, 3], done)
            self.assertGreater(batches[0]["seconds"], 0)
            self.assertGreater(len(batches[0]["profile"]), 20)
        for choice in ("onednn", "estimate", "try"):
            self.expect(0, ["conv1.conv.3"], "bench", "--model", H, "--seconds", "0.01", "--profile", "--choice", choice)
        self.expect(2, ["WIDTHxHEIGHT"], "bench", "--model", H, "--size", "axb")

        values = [i % 256 / 255 for i in range(3 * 32 * 32)]
        stored = self.root / "stored.safetensors"
        stored.write_bytes(safetensors({"pictures": ([1, 3, 32, 32], values), "output": ([1, 2], [3, -4])}))
        self.expect(0, ["99 % below"], "bench", "--model", PSI, "--against", stored, "--json", record)
        against = json.loads(record.read_text())["against"]
        self.assertEqual(against["values"], 2)
        self.assertGreater(against["max"], 0.01)  # these are not its logits
        self.expect(1, ["stored.safetensors", "3, H, W"], "bench", "--model", H, "--against", stored)
        stored.write_bytes(safetensors({"pictures": ([1, 3, 32, 32], [0.3] * 3072), "output": ([1, 2], [3, -4])}))
        self.expect(1, ["1/255"], "bench", "--model", PSI, "--against", stored)
        for output, said in ([0, 0], "zero throughout"), ([3, math.nan], "not finite"), ([-math.inf, 1], "not finite"):
            stored.write_bytes(safetensors({"pictures": ([1, 3, 32, 32], values), "output": ([1, 2], output)}))
            self.expect(1, ["stored.safetensors", said], "bench", "--model", PSI, "--against", stored)


if __name__ == "__main__":
    unittest.main()
