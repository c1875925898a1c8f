#!/usr/bin/env python3
"""The runtime of `veilnet` beside LibTorch eager and ONNX Runtime, all in one run on this machine.

usage: runtime.py VEILNET RUNTIME_TORCH NODE_MODULES [--psi FILE --h FILE --inverse FILE --cifar FOLDER] [--result FILE.json] ...
VEILNET: build/release/veilnet; RUNTIME_TORCH: build/release/runtime_torch (-DVEILNET_BENCH=ON);
NODE_MODULES: a folder with onnxruntime-node (ONNXRUNTIME_NODE_INSTALL=skip npm install --ignore-scripts onnxruntime-node).

LibTorch draws the networks and stores pictures with its results; ours in float32 and ONNX Runtime must agree with these
before their times count. Each time is the median of rounds in which the programs take turns. Ours goes from bytes to
bytes, the peers' from float to float tensors, which is less work. Ratios are to the fastest peer, which computes in
float32.

A precision for which this processor has no instructions (`veilnet bench` calls its loops portable) is left out.

protect_photographs_*: JPEG files of 12 megapixels through models of 224x224, likewise. protect_*: PNG files of 32x32 through `veilnet protect`, the program's start included, and as a share of what the runtime
does with as many pictures at once as protect hands it. cold_start_ms: one picture, U-Net of width 16, from the program's start to the written file.

With a trained psi and h and CIFAR-10 as binary files: what bf16 and int8 cost in accuracy on all protected test pictures,
and whether these show more.
Both networks are calibrated on CALIBRATION training pictures, psi on plain and protected ones.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import struct
import subprocess
import sys
import tempfile
import time

import pictures

CASES = [("unet_w4", 32, 1), ("unet_w4", 32, 32), ("unet_w16", 32, 1), ("unet_w16", 32, 32), ("unet_w64", 32, 1),
         ("unet_w64", 32, 32), ("resnet20", 32, 1), ("resnet20", 32, 32), ("vgg16_bn", 32, 1), ("vgg16_bn", 32, 32),
         ("unet_w4", 224, 1), ("unet_w4", 224, 32), ("unet_w16", 224, 1), ("unet_w16", 224, 32), ("unet_w64", 224, 1),
         ("resnet20", 224, 1), ("resnet20", 224, 32), ("vgg16_bn", 224, 1)]
PEERS = ["torch", "torch_channels_last", "ort"]
PRECISIONS = ["fp32", "bf16", "int8"]
ALLOWED_ERROR = 1e-4
FOLDERS = {"unet_w16": (4000, 3), "unet_w64": (4000, 5)}  # pictures that protect is measured with, and rounds
CALIBRATION = 500
GROUP = 128  # pictures that protect hands to the network at once
PHOTO = (4000, 3000)  # pixels of a camera's picture
PHOTOS = {"unet_w16": (120, 3), "unet_w64": (60, 3)}  # as FOLDERS
PHOTO_GROUP = 20  # pictures of 224x224 that protect hands to the network at once


def output_of(*words):
    done = subprocess.run([*map(str, words)], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"runtime: {' '.join(map(str, words))} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def at_size(model, side):
    """The bytes of a model file, said to be for pictures of side x side."""
    length = struct.unpack("<Q", model[:8])[0]
    header = json.loads(model[8:8 + length])
    header["__metadata__"]["input_size"] = f"[{side},{side}]"
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + model[8 + length:]


class Bench:
    def __init__(self, o, root):
        self.root, self.veilnet, self.torch, self.modules = root, o.veilnet.resolve(), o.runtime_torch.resolve(), o.node_modules.resolve()
        self.ort = pathlib.Path(__file__).resolve().with_name("runtime_ort.mjs")
        self.models = (o.models or root / "models").resolve()
        self.rounds, self.seconds = o.rounds, o.seconds
        self.isa, self.metrics = {}, {}
        self.precisions = PRECISIONS

    def ours(self, *flags):
        output_of(self.veilnet, "bench", "--json", self.root / "bench.json", *flags)
        record = json.loads((self.root / "bench.json").read_text())
        self.isa[record["precision"]] = record["kernels"]
        return record

    def measured(self, model, side, batch, precision):
        return self.ours("--model", self.models / f"{model}.safetensors", "--size", f"{side}x{side}", "--batch", batch,
                         "--seconds", self.seconds, "--precision", precision)["batches"][0]

    def per_batch(self, model, side, batch, precision):
        return self.measured(model, side, batch, precision)["seconds"]

    def make_models(self):
        if all((self.models / f"{model}-{side}.onnx").exists() and (self.models / f"{model}-{side}.safetensors").exists()
               for model, side, _ in CASES):
            return
        self.models.mkdir(parents=True, exist_ok=True)
        output_of(self.torch, "models", self.models)
        for model, side in {case[:2] for case in CASES}:
            output_of(self.veilnet, "export", "--model", self.models / f"{model}.safetensors", "--size", f"{side}x{side}",
                      "-o", self.models / f"{model}-{side}.onnx")

    def find_precisions(self):
        for precision in PRECISIONS:
            self.per_batch("unet_w4", 32, 1, precision)
        self.precisions = [p for p in PRECISIONS if p == "fp32" or self.isa[p] != "portable"]

    def networks(self):
        seconds, shares, error, equal, levels = {}, {}, 0, 1, 0
        for _ in range(self.rounds):
            for case in CASES:
                model, side, batch = case
                file, stored = self.models / f"{model}.safetensors", self.models / f"{model}-{side}.safetensors"
                theirs = json.loads(output_of(self.torch, "measure", file, side, batch, self.seconds))
                theirs |= json.loads(output_of("node", self.ort, self.modules, self.models / f"{model}-{side}.onnx", stored, batch, self.seconds))
                self.peer = theirs.pop("version")
                against = self.ours("--model", file, "--against", stored)["against"]
                drift = against["max"]
                error = max(error, drift)
                equal, levels = min(equal, against.get("equal_share", 1)), max(levels, against.get("most_levels", 0))
                if not max(drift, theirs.pop("ort_max_error")) <= ALLOWED_ERROR:
                    sys.exit(f"runtime: {case}: results differ from LibTorch's by {drift:.2g}")
                for precision in self.precisions:
                    ours = self.measured(model, side, batch, precision)
                    theirs[precision] = ours["seconds"]
                    if precision == "fp32":
                        shares.setdefault(case, []).append(ours["share_of_fp32_peak"])
                for which, value in theirs.items():
                    seconds.setdefault((case, which), []).append(value)
        self.metrics |= {"max_rel_error_fp32": error, "png_equal_share": equal, "png_most_levels": levels}
        for case in CASES:
            model, side, batch = case
            label = f"{model}_b{batch}" + (f"_{side}" if side != 32 else "")
            median = {which: statistics.median(seconds[case, which]) for which in [*self.precisions, *PEERS]}
            peer = min(median[p] for p in PEERS)
            self.metrics |= {f"{label}_{which}_per_s": batch / value for which, value in median.items()}
            self.metrics |= {f"{label}_{which}_ratio": peer / median[which] for which in self.precisions}
            self.metrics[f"{label}_fp32_share_of_peak"] = statistics.median(shares[case])
            print(f"{label:18}" + "".join(f"  {which} {batch / value:.0f}/s" for which, value in median.items())
                  + "  ratios" + "".join(f" {peer / median[which]:.2f}" for which in self.precisions), file=sys.stderr)

    def commands(self, place):
        kind = output_of("stat", "--file-system", "--format", "%T", place).strip()
        place = pathlib.Path(tempfile.mkdtemp(dir=place))
        try:
            self.protect(place, "" if kind == "tmpfs" else "_disk")
        finally:
            shutil.rmtree(place)

    def protect(self, place, where):
        folder = place / "pictures"
        folder.mkdir()
        for model, (count, rounds) in FOLDERS.items():
            for i in range(count):
                (folder / f"{i:05}.png").write_bytes(pictures.picture(i))
            shares, rates = [], []
            for i in range(rounds):
                out = place / f"out-{model}-{i}"  # removed at the end: ext4 looks long for inodes after many were freed
                batches = [self.per_batch(model, 32, GROUP, "fp32")]
                begin = time.monotonic()
                output_of(self.veilnet, "protect", folder, "--model", self.models / f"{model}.safetensors", "-o", out)
                rates.append(count / (time.monotonic() - begin))
                batches.append(self.per_batch(model, 32, GROUP, "fp32"))  # as fast after as before?
                shares.append(rates[-1] * statistics.mean(batches) / GROUP)
                if sum(1 for _ in out.iterdir()) != count:
                    sys.exit("runtime: protect did not write every picture")
            suffix = ("" if model == "unet_w64" else "_" + model.split("_")[1]) + where
            self.metrics["protect_pictures_per_s" + suffix] = statistics.median(rates)
            self.metrics["protect_share_of_runtime" + suffix] = statistics.median(shares)
        self.photographs(place, where)
        times = []
        for i in range(20):
            begin = time.monotonic()
            output_of(self.veilnet, "protect", folder / "00000.png", "--model", self.models / "unet_w16.safetensors", "-o", place / f"one-{i}.png")
            times.append(time.monotonic() - begin)
        self.metrics["cold_start_ms"] = 1000 * statistics.median(times)

    def photographs(self, place, where):
        """JPEG files of a camera's size through models of 224x224."""
        from PIL import Image  # python3-pil
        folder = place / "photographs"
        folder.mkdir()
        for i in range(max(count for count, _ in PHOTOS.values())):
            # A few colours enlarged, with the sensor's noise: as large a file as a photograph is.
            draw = random.Random(i)
            scene = Image.frombytes("RGB", (40, 30), draw.randbytes(3600)).resize(PHOTO, Image.BICUBIC)
            noise = Image.frombytes("L", (1000, 750), draw.randbytes(750_000)).resize(PHOTO, Image.NEAREST).convert("RGB")
            Image.blend(scene, noise, 0.06).save(folder / f"{i:03}.jpg", quality=90)
        for model, (count, rounds) in PHOTOS.items():
            large = self.root / f"{model}-as-224.safetensors"
            large.write_bytes(at_size((self.models / f"{model}.safetensors").read_bytes(), 224))
            shares, rates = [], []
            chosen = sorted(folder.iterdir())[:count]
            for i in range(rounds):
                out = place / f"out-photographs-{model}-{i}"
                batches = [self.per_batch(model, 224, PHOTO_GROUP, "fp32")]
                begin = time.monotonic()
                output_of(self.veilnet, "protect", *chosen, "--model", large, "-o", out)
                rates.append(count / (time.monotonic() - begin))
                batches.append(self.per_batch(model, 224, PHOTO_GROUP, "fp32"))
                shares.append(rates[-1] * statistics.mean(batches) / PHOTO_GROUP)
                if sum(1 for _ in out.iterdir()) != count:
                    sys.exit("runtime: protect did not write every photograph")
            suffix = "_" + model.split("_")[1] + where
            self.metrics["protect_photographs_per_s" + suffix] = statistics.median(rates)
            self.metrics["protect_photographs_share_of_runtime" + suffix] = statistics.median(shares)

    def accuracy(self, psi, h, inverse, cifar):
        def export(name, most, folder):
            data = (cifar / name).read_bytes()
            folder.mkdir()
            labels = {}
            for i in range(min(most, len(data) // 3073)):
                label, planes = data[i * 3073], data[i * 3073 + 1:(i + 1) * 3073]
                rows = b"".join(b"\0" + bytes(planes[c * 1024 + y * 32 + x] for x in range(32) for c in range(3)) for y in range(32))
                (folder / f"{i:05}.png").write_bytes(pictures.png(rows))
                labels[f"{i:05}.png"] = label
            return labels
        test, train = self.root / "test", self.root / "train"
        labels = export("test_batch.bin", 10000, test)
        export("data_batch_1.bin", CALIBRATION, train)
        seen = self.root / "train-protected"
        output_of(self.veilnet, "protect", train, "--model", h, "-o", seen)
        networks = {"h": self.root / "h.safetensors", "psi": self.root / "psi.safetensors"}
        output_of(self.veilnet, "calibrate", train, "--model", h, "-o", networks["h"])
        output_of(self.veilnet, "calibrate", train, seen, "--model", psi, "-o", networks["psi"])
        names = None
        made = {}

        def right(of_h, of_psi):
            nonlocal names
            if of_h not in made:
                made[of_h] = self.root / f"protected-{of_h}"
                output_of(self.veilnet, "protect", test, "--model", networks["h"], "--precision", of_h, "-o", made[of_h])
            output_of(self.veilnet, "classify", made[of_h], "--model", networks["psi"], "--precision", of_psi, "--top-k", 1,
                      "--json", self.root / "names.json")
            results = json.loads((self.root / "names.json").read_text())["results"]
            names = names or (cifar / "batches.meta.txt").read_text().split()
            hits = [names[labels[pathlib.Path(r["input"]).name]] == r["top"][0]["class"] for r in results]
            return 100 * sum(hits) / len(labels)
        full = right("fp32", "fp32")
        self.metrics["protected_accuracy_points_fp32"] = full
        for precision in self.precisions[1:]:
            self.metrics[f"{precision}_accuracy_loss_points"] = full - right(precision, precision)
            self.metrics[f"{precision}_h_accuracy_loss_points"] = full - right(precision, "fp32")
        for precision in self.precisions:
            self.leak(precision, networks["h"], inverse, test, made[precision])

    def leak(self, precision, h, inverse, plain, protected):
        """What is seen of the pictures, and what an inverse network of the fp32 ones rebuilds."""
        output_of(self.veilnet, "verify", plain, protected, "--model", h, "--precision", precision, "--max-ssim", 1,
                  "--json", self.root / "verify.json")
        results = json.loads((self.root / "verify.json").read_text())["results"]
        self.metrics[f"{precision}_ssim_seen"] = statistics.mean(r["ssim"] for r in results)
        if not inverse:
            return
        import numpy  # python3-torch brings it
        import torch
        from PIL import Image
        script = self.root / "inverse.pt"
        if not script.exists():
            output_of(self.veilnet, "export", "--model", inverse, "--format", "torchscript", "-o", script)
        network = torch.jit.load(str(script)).eval()
        names = sorted(path.name for path in protected.iterdir())
        read = lambda folder, some: numpy.stack([numpy.asarray(Image.open(folder / name)) for name in some]).astype(numpy.float32)
        errors = []
        for at in range(0, len(names), 500):
            some = names[at:at + 500]
            with torch.no_grad():
                rebuilt = network(torch.from_numpy(read(protected, some) / 255).permute(0, 3, 1, 2)).permute(0, 2, 3, 1).numpy()
            errors.extend(((numpy.rint(255 * rebuilt) - read(plain, some)) ** 2).mean(axis=(1, 2, 3)))
        self.metrics[f"{precision}_itn_psnr_db"] = float(numpy.mean(10 * numpy.log10(255 ** 2 / numpy.maximum(errors, 1e-3))))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("veilnet", type=pathlib.Path)
    parser.add_argument("runtime_torch", type=pathlib.Path)
    parser.add_argument("node_modules", type=pathlib.Path)
    parser.add_argument("--models", type=pathlib.Path, help="keep the drawn networks here, and take those that are there")
    parser.add_argument("--psi", type=pathlib.Path)
    parser.add_argument("--h", type=pathlib.Path)
    parser.add_argument("--inverse", type=pathlib.Path, help="an attacker's network against h in fp32, for what it rebuilds of the others")
    parser.add_argument("--cifar", type=pathlib.Path)
    parser.add_argument("--only", choices=["networks", "commands", "accuracy"], help="measure this part, and keep the others of --result")
    parser.add_argument("--place", type=pathlib.Path, help="folder for the pictures of protect: in memory (/dev/shm) or on a disk, whose "
                        "creation of files then counts and whose figures end in _disk")
    parser.add_argument("--result", type=pathlib.Path)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.3)
    o = parser.parse_args()
    cpu = pathlib.Path("/proc/cpuinfo").read_text()
    parts = [o.only] if o.only else ["networks", "commands", "accuracy"]
    before = json.loads(o.result.read_text()) if o.only and o.result and o.result.exists() else {}
    device = "cpu (" + next(line.split(": ")[1] for line in cpu.splitlines() if line.startswith("model name")) + ")"
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(o, pathlib.Path(name))
        bench.make_models()
        bench.find_precisions()
        isa = " ".join(dict.fromkeys(bench.isa[precision] for precision in bench.precisions))
        if before and (before["machine"]["device"], before["machine"]["isa"]) != (device, isa):
            sys.exit(f"runtime: {o.result} is of {before['machine']['device']}, {before['machine']['isa']}; this is {device}, {isa}: "
                     "figures of two machines do not go into one record")
        bench.peer = json.loads((bench.modules / "node_modules/onnxruntime-node/package.json").read_text())["version"]
        if "networks" in parts:
            bench.networks()
        if "commands" in parts:
            bench.commands(o.place or name)
        if "accuracy" in parts and o.psi:
            bench.accuracy(o.psi.resolve(), o.h.resolve(), o.inverse and o.inverse.resolve(), o.cifar.resolve())
    metrics = before.get("metrics", {}) | {key: float(f"{value:.4g}") for key, value in bench.metrics.items()}
    metrics["isa"] = isa
    commit = output_of(bench.veilnet, "--version").split("(")[-1].split(")")[0]
    record = {"experiment": "bench-runtime", "config": "bench/runtime.py",
              "note": f"Pictures per second of `veilnet` in fp32, bf16 and int8, of LibTorch eager in both memory layouts and of ONNX Runtime "
                      f"{bench.peer}, checked against LibTorch's results first; medians of rounds in turn. Ratios are to the fastest of the three "
                      "peers, in float32. 32x32 pixels unless a name ends in 224. protect_pictures_* and protect_share_*, of the runtime's own batches of 128: U-Net of "
                      "width 64, and _w16 of width 16, on 4,000 PNG files of 32x32, start included, medians of five and three rounds, in memory or on a disk (_disk). protect_photographs_*: JPEG files of 12 megapixels through the same networks at 224x224, 120 for width 16 and 60 for width 64, medians of three rounds, beside batches of 20. Accuracy: of protected CIFAR-10 test pictures with psi and h in that "
                      "precision, or with h alone (_h_). _ssim_seen: mean SSIM of protected and plain test pictures; _itn_psnr_db: what an inverse network that was trained on fp32 pictures rebuilds of them.",
              "commit": ", ".join(dict.fromkeys([*before.get("commit", "").split(", "), commit])).strip(", "),
              "machine": {"device": device, "isa": metrics["isa"], "threads": str(len(os.sched_getaffinity(0)))},
              "metrics": dict(sorted(metrics.items()))}
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if o.result:
        o.result.write_text(text)


if __name__ == "__main__":
    main()
