#!/usr/bin/env python3
"""Measures `veilnet serve` on this machine and writes results/bench-serve.json.

Server, load and, where one runs, client share the machine's cores. Builds nothing: give the folder
of a build with -DVEILNET_BENCH=ON.

usage: serve.py speed|soak|client|guard BUILD --psi PSI --h H --cifar10 DIR --cifar100 DIR [--seconds S]
"""
import argparse
import contextlib
import json
import os
import pathlib
import platform
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
RECORD = ROOT / "results" / "bench-serve.json"
NOTE = ("ResNet-20 on 32x32, float32, server and load on the same two cores, which have nothing else "
        "to do unless said. Saturation: requests of 32 pictures as fast as answers come, as a share of "
        "the runtime's own batches of 32 on as many threads; one_picture: of requests of 1. p50, p99 "
        "and p99.9 at 25, 50, 75, 90 % of the saturation of requests of 1, open loop, counted from "
        "when a request was due. Soak: requests as fast as answers come, every tenth malformed, a new "
        "version every 10 s, kill -9 and a restart in the middle, beside other work of the machine; a "
        "request whose connection breaks, or that is refused, is sent again for 10 s. end_to_end: the client's whole "
        "process, from a picture's file to its label. Every label was compared with the runtime's.")


def cpu():
    found = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    level = next((name for name in ("avx512_vnni", "avx512f", "avx2") if f" {name}" in flags), "none")
    return f"cpu ({found[1] if found else platform.machine()}, {level})"


def keep(options, metrics):
    """Adds figures to the record; one of another commit begins anew."""
    record = json.loads(RECORD.read_text()) if RECORD.exists() else {"metrics": {}}
    version = subprocess.run([options.build / "veilnet", "--version"], capture_output=True, text=True).stdout
    commit = version.split("(")[-1].split(")")[0]
    if record.get("commit", commit) != commit:
        print(f"the other figures of the record are of {record['commit']}")
        record = {"metrics": {}}
    metrics = dict(sorted({**record["metrics"], **metrics}.items()))
    RECORD.write_text(json.dumps(
        {"experiment": "bench-serve", "config": "bench/serve.py", "note": NOTE, "commit": commit,
         "machine": {"device": cpu(), "threads": str(os.cpu_count())}, "metrics": metrics},
        indent=1) + "\n")


class Server:
    def __init__(self, options, folder, *more):
        self.folder, self.options, self.more = pathlib.Path(folder), options, more
        self.models = self.folder / "models"
        self.port = 0
        self.add_version(1)
        self.start()

    def add_version(self, number):
        version = self.models / "m" / str(number)
        version.mkdir(parents=True, exist_ok=True)
        # Readers see a whole file or none.
        shutil.copy(self.options.psi, version / "new")
        os.rename(version / "new", version / "model.safetensors")

    def start(self):
        port_file = self.folder / "port"
        port_file.unlink(missing_ok=True)
        self.process = subprocess.Popen(
            [self.options.build / "veilnet", "serve", "--models", self.models, "--port", str(self.port),
             "--port-file", port_file, "--quiet", *self.more])
        while not port_file.exists():
            time.sleep(0.02)
        self.port = int(port_file.read_text())
        while True:
            with contextlib.suppress(OSError):
                if urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v2/health/ready").status == 200:
                    return
            time.sleep(0.02)

    def post(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", b"{}", method="POST")
        return urllib.request.urlopen(request, timeout=60).status

    def memory_mb(self):
        text = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1024

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        self.process.wait()


def load(options, *words):
    done = subprocess.run([options.build / "serve_load", "--model", options.psi, "--pictures",
                           options.cifar10 / "test_batch.bin", *map(str, words)],
                          capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr)
    return json.loads(done.stdout)


def checked(figures):
    if figures["wrong"] or figures["lost"]:
        raise SystemExit(f"wrong or lost answers: {figures}")
    return figures


def speed(options):
    seconds = options.seconds or 4
    metrics = {}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options, folder)
        try:
            shares, singles, ones, own = [], [], [], []
            for _ in range(3):
                alone = max(load(options, "--runtime", "--seconds", seconds, "--workers", w, "--threads", t)
                            ["pictures_per_s"] for w, t in ((2, 1), (1, 2)))
                many = checked(load(options, "--port", server.port, "--seconds", seconds,
                                    "--connections", 8))["pictures_per_s"]
                one = checked(load(options, "--port", server.port, "--seconds", seconds,
                                   "--connections", 64, "--pictures-each", 1))["pictures_per_s"]
                shares.append(many / alone)
                singles.append(one / alone)
                ones.append(one)
                own.append(alone)
                print(f"runtime {alone:.0f}, requests of 32 {many:.0f} ({many / alone:.3f}), of 1 "
                      f"{one:.0f} ({one / alone:.3f}) pictures/s", flush=True)
            metrics = {"saturation_share_of_runtime": statistics.median(shares),
                       "saturation_share_of_runtime_one_picture": statistics.median(singles),
                       "runtime_pictures_per_s": statistics.median(own),
                       "saturation_requests_per_s_one_picture": statistics.median(ones)}
            for share in (25, 50, 75, 90):
                rate = statistics.median(ones) * share / 100
                found = checked(load(options, "--port", server.port, "--seconds", 2 * seconds, "--rate", rate,
                                     "--connections", 256, "--pictures-each", 1))
                for name in ("p50", "p99", "p99.9"):
                    metrics[f"{name}_ms_at_{share}"] = found[f"{name}_ms"]
                metrics[f"refused_share_at_{share}"] = found["refused"] / max(1, found["answered"] + found["refused"])
                print(f"{share} %: {rate:.0f} requests/s, p50 {found['p50_ms']:.2f}, p99 {found['p99_ms']:.2f}, "
                      f"p99.9 {found['p99.9_ms']:.2f} ms", flush=True)
        finally:
            server.stop()
    keep(options, metrics)


def soak(options):
    seconds = options.seconds or 600
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options, folder, "--allow-control")
        curve, loads, stop = [], [0], threading.Event()
        begin = time.monotonic()

        def watch():
            version, killed, swap_at = 1, False, 10.0
            while not stop.wait(1):
                now = time.monotonic() - begin
                curve.append((now, server.process.pid, server.memory_mb()))
                if not killed and now > seconds / 2:
                    server.stop(signal.SIGKILL)
                    server.start()
                    killed = True
                elif now > swap_at:
                    version += 1
                    server.add_version(version)
                    server.post("/v2/repository/models/m/load")
                    loads[0] += 1
                    swap_at = now + 10

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            found = load(options, "--port", server.port, "--seconds", seconds, "--connections", 16,
                         "--pictures-each", 4, "--bad-share", 0.1)
        finally:
            stop.set()
            watcher.join()
            server.stop()
    growth = 0
    for pid in {one[1] for one in curve}:
        own = [(at, mb) for at, which, mb in curve if which == pid]
        settled = [mb for at, mb in own if at > own[0][0] + 20]
        if len(settled) > 10:
            growth = max(growth, statistics.mean(settled[-5:]) - statistics.mean(settled[:5]))
    print(found, f"{loads[0]} swaps, memory grew by {growth:.1f} MB")
    keep(options, {"soak_seconds": seconds, "soak_wrong_answers": found["wrong"], "soak_lost_good_requests": found["lost"],
          "soak_good_requests": found["answered"], "soak_bad_requests": found["bad_answered"],
          "soak_sent_again": found["retried"], "soak_refused": found["refused"], "soak_swaps": loads[0], "memory_growth_mb": growth,
          **{f"soak_memory_mb_at_{round(at):04}_s": round(mb, 1) for at, _, mb in curve
             if round(at) % max(10, round(seconds / 30)) == 0}})


def client(options):
    with tempfile.TemporaryDirectory() as folder:
        server = Server(options, folder)
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/v2/models/m") as answer:
                sha256 = json.load(answer)["parameters"]["content_sha256"]
            photo = ROOT / "docs/images/schemes.png"
            words = [options.build / "veilnet", "client", photo, "--model", options.h, "--psi-sha256", sha256,
                     "--server", f"http://127.0.0.1:{server.port}", "--quiet"]
            times = []
            for _ in range(20):
                begin = time.monotonic()
                subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
                times.append(1000 * (time.monotonic() - begin))
        finally:
            server.stop()
    print(f"end to end {statistics.median(times):.1f} ms")
    keep(options, {"end_to_end_ms": statistics.median(times)})


def guard(options):
    with tempfile.TemporaryDirectory() as folder:
        record = pathlib.Path(folder, "guard.json")
        subprocess.run([options.build / "veilnet", "guard", "--model", options.h, "--psi", options.psi,
                        "--path", options.cifar10, "--also", f"cifar100={options.cifar100}", "--also",
                        "synthetic", "-o", pathlib.Path(folder, "guard.safetensors"), "--json", record],
                       check=True)
        found = json.loads(record.read_text())
    name = lambda text: re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    keep(options, {"guard_false_alarm_rate": found["false_alarm_rate"],
          "guard_miss_rate": max(found["miss_rates"].values()),
          **{f"guard_miss_rate_{name(of)}": rate for of, rate in found["miss_rates"].items()}})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "soak", "client", "guard"))
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("--psi", type=pathlib.Path, required=True)
    parser.add_argument("--h", type=pathlib.Path)
    parser.add_argument("--cifar10", type=pathlib.Path, required=True)
    parser.add_argument("--cifar100", type=pathlib.Path)
    parser.add_argument("--seconds", type=float)
    options = parser.parse_args()
    options.build = options.build.resolve()
    globals()[options.what](options)


if __name__ == "__main__":
    main()
