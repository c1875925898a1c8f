"""Two servers behind nginx, as deploy/nginx.conf has it: one is killed and no request is lost.

usage: nginx_test.py VEILNET

Ends with 77, which CTest counts as skipped, where there is no nginx.
"""
import json
import pathlib
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.error
import urllib.request
import zlib

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
PSI = ROOT / "tests/data/classifier-format1.safetensors"
H = ROOT / "tests/data/transform-format1.safetensors"
NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
PICTURES = 120


def png(seed, side=32):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + bytes((x * x * 7 + y * 5 + seed * 31) % 256 for x in range(side * 3)) for y in range(side))
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)) +
            chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def get(port, path):
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


class Replicas(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        root = pathlib.Path(self.folder.name)
        front, *backs = free_ports(3)
        self.front = front
        self.servers = []
        for number, port in enumerate(backs):
            # A picture waits a little, so that there always are some under way.
            words = ["serve", "--model", f"m={PSI}", "--port", str(port), "--max-delay-us", "30000",
                     "--access-log", root / f"{number}.jsonl"]
            self.servers.append(subprocess.Popen([VEILNET, *words], stderr=subprocess.DEVNULL))
        config = (ROOT / "deploy/nginx.conf").read_text().replace("/run/nginx.pid", "nginx.pid")
        for number, port in zip(("8000", "8001", "8002"), (front, *backs)):
            config = config.replace(f"127.0.0.1:{number}", f"127.0.0.1:{port}")
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
            config = config.replace("http {", f"http {{\n  {name}_temp_path {name};", 1)
        (root / "nginx.conf").write_text(config)
        self.nginx = subprocess.Popen([NGINX, "-p", root, "-c", root / "nginx.conf", "-e", root / "error.log",
                                       "-g", "daemon off;"])
        for port in (*backs, front):
            for _ in range(600):
                if get(port, "/v2/health/ready")[0] == 200:
                    break
                time.sleep(0.05)
        self.photos = root / "photos"
        self.photos.mkdir()
        for i in range(PICTURES):
            (self.photos / f"{i:03}.png").write_bytes(png(i))

    def tearDown(self):
        for process in (self.nginx, *self.servers):
            process.terminate()
            process.wait(timeout=60)
        self.folder.cleanup()

    def client(self, *words):
        psi = json.loads(get(self.front, "/v2/models/m")[1])["parameters"]["content_sha256"]
        return subprocess.Popen([VEILNET, "client", self.photos, "--model", H, "--server",
                                 f"http://127.0.0.1:{self.front}", "--psi-sha256", psi, "--format", "csv", *words],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def answered(self, number):
        log = pathlib.Path(self.folder.name, f"{number}.jsonl")
        return sum("/classify" in line for line in log.read_text().splitlines())

    def while_one_ends(self, how):
        """The lines of a client during whose requests the first server gets this signal."""
        before = self.answered(0)
        client = self.client()
        for _ in range(600):
            if self.answered(0) >= before + 5 or client.poll() is not None:
                break
            time.sleep(0.01)
        self.assertIsNone(client.poll(), "the client was done before a server ended")
        self.servers[0].send_signal(how)
        out, errors = client.communicate(timeout=120)
        self.assertEqual(client.returncode, 0, errors)
        self.servers[0].wait(timeout=60)
        return out.splitlines()

    def test_no_request_is_lost_when_a_server_is_killed(self):
        self.no_request_is_lost(signal.SIGKILL)

    def test_no_request_is_lost_when_a_server_ends(self):
        self.no_request_is_lost(signal.SIGTERM)

    def no_request_is_lost(self, how):
        out, errors = self.client().communicate(timeout=120)
        wanted = out.splitlines()
        self.assertEqual(len(wanted), PICTURES + 1, errors)
        self.assertGreater(min(self.answered(0), self.answered(1)), 0, "both servers have answered")
        self.assertEqual(self.while_one_ends(how), wanted)
        self.assertEqual(get(self.front, "/v2/health/ready")[0], 200)

    def test_what_is_not_for_clients_is_not_passed_on(self):
        for path in ("/metrics", "/v2/repository/models/m/load"):
            self.assertEqual(get(self.front, path)[0], 403)
        self.assertEqual(get(self.front, "/nowhere")[0], 404)


if __name__ == "__main__":
    if not NGINX:
        print("nginx_test: skipped: there is no nginx (a Debian package: nginx-light)")
        sys.exit(77)
    unittest.main()
