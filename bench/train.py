#!/usr/bin/env python3
"""How fast a training step is beside plain PyTorch: psi (ResNet-20), and h (U-Net of width 16) with the published loss,
phi on the whole batch; float32, batches of 128 pictures of 32x32, the same threads. And how far two processes' weights
are from one's (bench/data_parallel.cpp), where the program for it was built.

usage: train.py TRAIN_STEP [RESULT.json [RECORD.json VEILNET DATA PHI]]
TRAIN_STEP: build/release/train_step (-DVEILNET_BENCH=ON). RECORD.json: of a main experiment whose h keeps psi's
accuracy within half a point and hides its pictures; VEILNET: build/release/veilnet; DATA, PHI: its data.path and
phi.file. Then also how much longer than that training of h the published recipe's 200 epochs would take, in plain
PyTorch; both extrapolated from their rates here.

PyTorch has its faster memory format (channels-last), the same weights, pictures and optimiser, and must come to the
same losses. ROUNDS rounds in turn; the figures are medians over all steps but the first WARM of each. Needs
python3-torch and an otherwise idle machine.
"""
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

ROUNDS, STEPS, WARM, COMPARED = 3, 16, 3, 6
LR, MOMENTUM, DECAY, ALPHA = {"psi": 1e-2, "transform": 1e-5}, 0.9, 5e-4, 0.005  # those of bench/train_step.cpp
BATCH = 128
QUALITY = {"lost": 0.005, "ssim": 0.05, "epochs": 200}  # psi's accuracy, what is seen; the published recipe's length


def load(path):
    """The tensors of a safetensors file."""
    import numpy as np
    import torch
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8:8 + size])
    header.pop("__metadata__", None)
    tensors = {}
    for name, entry in header.items():
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        values = np.frombuffer(data[begin:end], dtype=np.float32).reshape(entry["shape"])
        tensors[name] = torch.from_numpy(values.copy())
    return tensors


def pytorch(folder, task, width=16):
    """Trains with plain PyTorch; prints losses and seconds. Another width than 16 has weights of its own."""
    import torch
    import torch.nn.functional as F
    from torch import nn
    torch.set_num_threads(physical_cores())
    last = torch.channels_last

    class Block(nn.Module):
        def __init__(self, c_in, c_out, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(c_out)
            self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(c_out)
            self.stride, self.pad = stride, (c_out - c_in) // 2

        def forward(self, x):
            y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
            if self.stride != 1:
                x = F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))
            return F.relu(x + y)

    class ResNet20(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1 = nn.Conv2d(3, 16, 3, 1, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(16)
            stage = lambda a, b, s: nn.Sequential(Block(a, b, s), Block(b, b, 1), Block(b, b, 1))
            self.layer1, self.layer2, self.layer3 = stage(16, 16, 1), stage(16, 32, 2), stage(32, 64, 2)
            self.linear = nn.Linear(64, 10)

        def forward(self, x):
            x = F.relu(self.bn1(self.conv1(x)))
            return self.linear(self.layer3(self.layer2(self.layer1(x))).mean((2, 3)))

    class Conv(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            part = lambda i: (nn.Conv2d(i, b, 3, 1, 1), nn.BatchNorm2d(b), nn.ReLU(inplace=True))
            self.conv = nn.Sequential(*part(a), *part(b))

        def forward(self, x):
            return self.conv(x)

    class Up(nn.Module):
        def __init__(self, a, b):
            super().__init__()
            self.up = nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(a, b, 3, 1, 1), nn.BatchNorm2d(b),
                                    nn.ReLU(inplace=True))

        def forward(self, x):
            return self.up(x)

    class UNet(nn.Module):
        def __init__(self, w):
            super().__init__()
            for level in range(5):
                setattr(self, f"conv{level + 1}", Conv(3 if level == 0 else w << (level - 1), w << level))
            for level in range(1, 5):
                setattr(self, f"up{level + 1}", Up(w << level, w << (level - 1)))
                setattr(self, f"up_conv{level + 1}", Conv(w << level, w << (level - 1)))
            self.conv_1x1 = nn.Conv2d(w, 3, 1)

        def forward(self, x):
            levels = []
            for level in range(5):
                x = getattr(self, f"conv{level + 1}")(x if level == 0 else F.max_pool2d(x, 2, 2))
                levels.append(x)
            for level in range(4, 0, -1):
                x = getattr(self, f"up{level + 1}")(x)
                x = getattr(self, f"up_conv{level + 1}")(torch.cat((levels[level - 1], x), 1))
            return self.conv_1x1(x)

    def filled(net, name):
        missing, extra = net.load_state_dict(load(folder / name), strict=False)
        if extra or any(not key.endswith("num_batches_tracked") for key in missing):
            sys.exit(f"train: {name}: missing {missing}, left over {extra}")
        return net.to(memory_format=last)

    batches = load(folder / "batches.safetensors")
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)))
    psi = filled(ResNet20(), "psi.safetensors")
    if task == "psi":
        net = psi.train()
    else:
        net = (filled(UNet(16), "h.safetensors") if width == 16 else UNet(width).to(memory_format=last)).train()
        conv = lambda a, b: (nn.Conv2d(a, b, 3, 1, 1), nn.ReLU(inplace=True))
        phi = nn.Module()
        phi.features = nn.Sequential(*conv(3, 64), *conv(64, 64), nn.MaxPool2d(2, 2), *conv(64, 128), *conv(128, 128))
        phi = filled(phi, "phi.safetensors").features.eval()
        psi.eval()
        for p in (*psi.parameters(), *phi.parameters()):
            p.requires_grad_(False)
    optimiser = torch.optim.SGD(net.parameters(), LR[task], momentum=MOMENTUM, weight_decay=DECAY)
    losses, seconds = [], []
    for step in range(STEPS):
        begin = time.perf_counter()
        first = step * BATCH % len(batches["pictures"])
        x = batches["pictures"][first:first + BATCH].contiguous(memory_format=last)
        labels = batches["labels"][first:first + BATCH].long()
        if task == "psi":
            loss = F.cross_entropy(net((x - mean) / std), labels)
        else:
            hidden = (torch.sigmoid(net(x)) - mean) / std
            with torch.no_grad():
                features = phi((x - mean) / std)
            loss = F.cross_entropy(psi(hidden), labels) - ALPHA * F.mse_loss(phi(hidden), features)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
        seconds.append(time.perf_counter() - begin)
    print(json.dumps({"losses": losses, "seconds": seconds}))


def physical_cores():
    return len({tuple(pathlib.Path(f"/sys/devices/system/cpu/cpu{i}/topology/{part}").read_text()
                      for part in ("physical_package_id", "core_id"))
                for i in os.sched_getaffinity(0)})


class Quality:
    """Time to quality: the published recipe's time for h in terms of ours, its encoder included."""

    def __init__(self, record, veilnet, data, phi):
        record = json.loads(pathlib.Path(record).read_text())
        metrics = {name: value["mean"] if isinstance(value, dict) else value
                   for name, value in record["metrics"].items()}
        self.lost = round(metrics["plain_accuracy"] - metrics["protected_accuracy"], 9)
        seen = metrics["ssim_plain_protected_mean"]
        if self.lost > QUALITY["lost"] or abs(seen) > QUALITY["ssim"]:
            sys.exit(f"train: this h loses {100 * self.lost:.2f} points at SSIM {seen:.3f}; allowed: 0.5 and 0.05")
        self.width = int(record["protections"][0]["architecture"].split("width ")[1].split()[0].rstrip(","))
        self.pictures, self.config, self.commit = record["data"]["train"], record["config"], record["commit"]
        self.programs = [str(pathlib.Path(p).resolve()) for p in (veilnet, data, phi)]

    def seconds_of_ours(self, folder):
        """What that record's trainings of the encoder and of h would take here, at the pace of some steps."""
        veilnet, data, phi = self.programs
        config, out = pathlib.Path(folder) / "config.toml", pathlib.Path(folder) / "dry.json"
        config.write_text(self.config)
        sets = [f'runs="{folder}"', f'data.path="{data}"', f'phi.file="{phi}"']
        subprocess.run([veilnet, "reproduce", "--config", config, "--dry-run", "--json", out,
                        *(word for text in sets for word in ("--set", text))], check=True, capture_output=True)
        found = {t["title"]: t for t in json.loads(out.read_text())["trainings"]}
        parts = [t for title, t in found.items() if title.startswith(("train the encoder of h", "train h,"))]
        if len(parts) != 2 or any(t["finished"] for t in parts):
            sys.exit(f"train: expected an encoder and an h to train, found {list(found)}")
        return sum(t["seconds"] for t in parts)

    def measure(self, folder):
        ours = statistics.median(self.seconds_of_ours(folder) for _ in range(ROUNDS))
        found = subprocess.run([sys.executable, __file__, "--pytorch", folder, "transform", str(self.width)],
                               check=True, capture_output=True, text=True).stdout
        rate = BATCH / statistics.median(json.loads(found)["seconds"][WARM:])
        published = QUALITY["epochs"] * self.pictures / rate
        print(f"h of width {self.width}: {ours / 60:.0f} min, {100 * self.lost:.2f} points lost; "
              f"the published recipe {published / 60:.0f} min")
        return {"time_to_quality_ratio": published / ours, "time_to_quality_minutes": ours / 60,
                "time_to_quality_published_minutes": published / 60, "time_to_quality_width": self.width}


def main():
    if len(sys.argv) in (4, 5) and sys.argv[1] == "--pytorch":
        return pytorch(pathlib.Path(sys.argv[2]), sys.argv[3], *map(int, sys.argv[4:]))
    if len(sys.argv) not in (2, 3, 7):
        sys.exit(__doc__)
    ours = pathlib.Path(sys.argv[1]).resolve()
    quality = Quality(*sys.argv[3:]) if len(sys.argv) == 7 else None
    metrics, rates = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([ours, "inputs", folder], check=True)
        for task, metric in (("psi", "psi"), ("transform", "transform_w16")):
            commands = {"pytorch": [sys.executable, __file__, "--pytorch", folder, task],
                        "veilnet": [ours, "measure", folder, task, str(STEPS)]}
            seconds = {who: [] for who in commands}
            for _ in range(ROUNDS):
                losses = {}
                for who, command in commands.items():
                    # As `veilnet` starts its programs (docs/performance.md); PyTorch waits as it likes best.
                    more = {"GOMP_SPINCOUNT": "2000"} if who == "veilnet" else {}
                    output = subprocess.run(command, check=True, capture_output=True, text=True,
                                            env=os.environ | more).stdout
                    result = json.loads(output)
                    losses[who] = result["losses"]
                    seconds[who] += result["seconds"][WARM:]
                for step in range(COMPARED):
                    a, b = (losses[who][step] for who in commands)
                    if abs(a - b) > 1e-3 * max(abs(a), 1):
                        sys.exit(f"train: {task}, step {step}: PyTorch's loss is {a}, ours {b}")
            for who in commands:
                rates[task, who] = BATCH / statistics.median(seconds[who])
                print(f"{task:10} {who:8} {rates[task, who]:8.1f} pictures/s", flush=True)
            metrics[metric + "_ratio"] = rates[task, "veilnet"] / rates[task, "pytorch"]
            metrics[metric + "_pictures_per_s"] = rates[task, "veilnet"]
            metrics[metric + "_pytorch_pictures_per_s"] = rates[task, "pytorch"]
        if quality:
            metrics |= quality.measure(folder)
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    metrics = {k: round(v, 3) for k, v in metrics.items()}
    data_parallel = ours.parent / "data_parallel"
    if data_parallel.exists():
        found = json.loads(subprocess.run([data_parallel], check=True, capture_output=True, text=True).stdout)
        metrics["ddp_2_process_max_rel_diff"] = found["ddp_2_process_max_rel_diff"]
    metrics["isa"] = "avx512" if "avx512f" in flags else "avx2" if "avx2" in flags else "other"
    processor = next(l.split(": ")[1] for l in flags.splitlines() if l.startswith("model name"))
    version = subprocess.run([sys.executable, "-c", "import torch; print(torch.__version__)"], text=True,
                             capture_output=True).stdout.strip()
    commit = subprocess.run(["git", "-C", pathlib.Path(__file__).parent, "rev-parse", "--short", "HEAD"], text=True,
                            capture_output=True).stdout.strip()
    record = {"experiment": "bench-train-cpu", "config": "bench/train.py",
              "note": f"Batches of {BATCH} of 32x32, float32, published loss; PyTorch {version}, channels-last; medians of "
                      f"{ROUNDS * (STEPS - WARM)} steps in {ROUNDS} rounds in turn; losses equal to 1e-3 for {COMPARED} steps.",
              "commit": commit,
              "machine": {"device": f"cpu ({processor})", "threads": str(physical_cores()),
                          "instruction_set": metrics["isa"]},
              "metrics": metrics}
    if quality:
        record["note"] += (f" Time to quality: encoder and h of the main experiment of {quality.commit}, against 200 epochs of "
                           f"the published recipe in plain PyTorch at that width, float32; both extrapolated from steps here.")
    text = json.dumps(record, indent=1) + "\n"
    print(text)
    if len(sys.argv) > 2:
        pathlib.Path(sys.argv[2]).write_text(text)


if __name__ == "__main__":
    main()
