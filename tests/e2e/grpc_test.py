"""The server's gRPC from the outside, by a client that is not ours: @grpc/grpc-js, tests/e2e/grpc.

usage: grpc_test.py VEILNET

Ends with 77, which CTest counts as skipped, where Node or the client's packages are missing, or
where this veilnet was built without gRPC.
"""
import base64
import json
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.request

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
ROOT = pathlib.Path(__file__).resolve().parents[2]
PSI = ROOT / "tests/data/classifier-format1.safetensors"
CLIENT = ROOT / "tests/e2e/grpc"
PROTO = ROOT / "proto/open_inference_grpc.proto"
SIDE, COUNT = 32, 3
PIXELS = bytes((i * i * 7 + i // 96 * 5) % 256 for i in range(COUNT * SIDE * SIDE * 3))


def skip(reason):
    print(f"grpc_test: skipped: {reason}")
    sys.exit(77)


class Server:
    def __init__(self, folder, *options):
        ports = [pathlib.Path(folder, name) for name in ("port", "grpc_port")]
        for port in ports:
            port.unlink(missing_ok=True)
        self.log = pathlib.Path(folder, "access.jsonl")
        # A request waits for others: one that has a millisecond, or is cancelled then, is not answered first.
        self.process = subprocess.Popen(
            [VEILNET, "serve", "--model", f"m={PSI}", "--port", "0", "--port-file", ports[0], "--grpc-port", "0",
             "--grpc-port-file", ports[1], "--max-body-bytes", "65536", "--max-delay-us", "100000",
             "--access-log", self.log, *options],
            stderr=subprocess.PIPE, text=True)
        for _ in range(600):
            if all(port.exists() for port in ports) or self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.port, self.grpc_port = (int(port.read_text()) for port in ports)

    def client(self, **more):
        words = {"address": f"localhost:{self.grpc_port}", "count": COUNT,
                 "pixels": base64.b64encode(PIXELS).decode(), **more}
        done = subprocess.run(["node", CLIENT / "client.mjs", PROTO, json.dumps(words)], capture_output=True,
                              text=True, timeout=120)
        assert done.returncode == 0, done
        return json.loads(done.stdout)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        errors = self.process.communicate(timeout=60)[1]
        assert self.process.returncode == 0, errors


class Grpc(unittest.TestCase):
    def test_a_client_that_is_not_ours_is_answered_as_over_http(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder)
            try:
                body = json.dumps({"inputs": [{"name": "images", "datatype": "UINT8", "data": list(PIXELS),
                                               "shape": [COUNT, SIDE, SIDE, 3]}]}).encode()
                address = f"http://127.0.0.1:{server.port}/v2/models/m"
                while True:
                    try:
                        with urllib.request.urlopen(f"{address}/ready"):
                            break
                    except urllib.error.HTTPError:
                        time.sleep(0.05)
                with urllib.request.urlopen(f"{address}/infer", body) as answer:
                    label, name = (output["data"] for output in json.load(answer)["outputs"])
                with urllib.request.urlopen(address) as answer:
                    sha256 = json.load(answer)["parameters"]["content_sha256"]
                seen = server.client()
            finally:
                server.stop()
            self.assertEqual((seen["live"], seen["ready"], seen["model_ready"]),
                             ({"live": True}, {"ready": True}, {"ready": True}))
            self.assertEqual(seen["server"]["name"], "veilnet")
            self.assertEqual(seen["model"]["properties"]["content_sha256"], sha256)
            self.assertEqual(seen["model"]["inputs"][0]["shape"], [-1, SIDE, SIDE, 3])
            self.assertEqual(seen["index"]["models"][0]["state"], "READY")
            self.assertEqual(seen["raw"], {"id": "js", "names": ["label", "name"], "labels": label})
            self.assertEqual(seen["typed"], {"names": ["label", "name"], "labels": label, "class_names": name})
            codes = {key: value["code"] for key, value in seen.items() if "code" in value}
            self.assertEqual(codes, {"load": "PERMISSION_DENIED", "no_model": "NOT_FOUND",
                                     "malformed": "INVALID_ARGUMENT", "too_large": "RESOURCE_EXHAUSTED",
                                     "late": "DEADLINE_EXCEEDED", "cancelled": "CANCELLED"})
            routes = {line["route"]: line for line in map(json.loads, server.log.read_text().splitlines())}
            line = routes["/inference.GRPCInferenceService/ModelInfer"]
            self.assertEqual((line["model"], line["version"]), ("m", 1))

    def test_keys_and_tls_are_those_of_http(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl program to make a certificate")
        with tempfile.TemporaryDirectory() as folder:
            cert, private, keys = (pathlib.Path(folder, name) for name in ("cert.pem", "key.pem", "keys"))
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
                            "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext",
                            "subjectAltName=DNS:localhost,IP:127.0.0.1", "-out", cert, "-keyout", private],
                           check=True, capture_output=True)
            key = subprocess.run([VEILNET, "apikey", "alice", "--keys", keys], capture_output=True, text=True,
                                 check=True).stdout.strip()
            server = Server(folder, "--tls-cert", cert, "--tls-key", private, "--keys", keys)
            try:
                good = server.client(ca=str(cert), key=key)
                bad = server.client(ca=str(cert), key=key + "x")
                self.assertEqual(good["raw"]["id"], "js")
                self.assertEqual(bad["live"], {"live": True})
                for method in ("server", "model", "model_ready", "index", "load", "raw", "typed"):
                    self.assertEqual(bad[method]["code"], "UNAUTHENTICATED", method)
                self.assertNotIn(key, server.log.read_text())
            finally:
                server.stop()


if __name__ == "__main__":
    if not shutil.which("node"):
        skip("there is no node")
    if not (CLIENT / "node_modules").is_dir():
        skip("there is no tests/e2e/grpc/node_modules: cd tests/e2e/grpc && npm ci")
    if not (VEILNET.parent / "veilnet-grpc.so").exists():
        skip("this veilnet was built without gRPC")
    unittest.main()
