"""The server from the outside: raw sockets, real files.

usage: serve_test.py VEILNET
"""
import collections
import concurrent.futures
import ctypes
import http.client
import http.server
import json
import math
import pathlib
import re
import shutil
import signal
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time
import unittest
import zlib

VEILNET = pathlib.Path(sys.argv.pop(1)).resolve()
DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
PSI = DATA / "classifier-format1.safetensors"
H = DATA / "transform-format1.safetensors"
SIDE = 32
BYTES = SIDE * SIDE * 3
LIMIT = 65536  # of a body


def pixels(seed=1, count=1):
    return bytes((i * i * 7 + i // 96 * 5 + seed * 31) % 256 for i in range(count * BYTES))


def png(rgb, side=SIDE, claimed=None):
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + rgb[y * side * 3:(y + 1) * side * 3] for y in range(side))
    size = struct.pack(">IIBBBBB", claimed or side, claimed or side, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", size) + chunk(b"IDAT", zlib.compress(rows)) +
            chunk(b"IEND", b""))


def tensor(**changes):
    return {"name": "images", "shape": [1, SIDE, SIDE, 3], "datatype": "UINT8",
            "data": list(pixels()), **changes}


def without(value, key):
    return {k: v for k, v in value.items() if k != key}


class Server:
    def __init__(self, folder, *options, models=None, wait=None, tls=None):
        self.folder = pathlib.Path(folder)
        self.tls = tls and ssl.create_default_context(cafile=tls)
        self.port_file = self.folder / "port"
        self.port_file.unlink(missing_ok=True)
        self.log = self.folder / "access.jsonl"
        models = models or ("--model", f"m={PSI}")
        self.process = subprocess.Popen(
            [VEILNET, "serve", *models, "--port", "0", "--port-file", self.port_file,
             "--access-log", self.log, "--max-body-bytes", str(LIMIT), *options],
            stderr=subprocess.PIPE, text=True)
        for _ in range(600):
            if self.port_file.exists() or self.process.poll() is not None:
                break
            time.sleep(0.05)
        self.port = int(self.port_file.read_text())
        for _ in range(600):
            if self.get(f"/v2/models/{wait}/ready" if wait else "/v2/health/ready")[0] == 200:
                return
            time.sleep(0.05)
        raise AssertionError("the server is not ready")

    def request(self, method, path, body=None, headers=None, timeout=60):
        kind, more = ((http.client.HTTPSConnection, {"context": self.tls}) if self.tls else
                      (http.client.HTTPConnection, {}))
        connection = kind("127.0.0.1", self.port, timeout=timeout, **more)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return answer.status, answer.read(), dict(answer.getheaders())
        finally:
            connection.close()

    def get(self, path):
        return self.request("GET", path)

    def post(self, path, body=b"", headers=None):
        return self.request("POST", path, body, headers)

    def infer(self, body, headers=None):
        if not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        return self.post("/v2/models/m/infer", body, headers)

    def raw(self, data, half_close=False, timeout=30):
        """Everything that the server answers to these bytes, until it closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=timeout) as connection:
            connection.sendall(data)
            if half_close:
                connection.shutdown(socket.SHUT_WR)
            answer = b""
            try:
                while part := connection.recv(65536):
                    answer += part
            except ConnectionResetError:
                pass
            return answer

    def psi(self):
        return json.loads(self.get("/v2/models/m")[1])["parameters"]["content_sha256"]

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.communicate(timeout=60)[1]


def binary_request(rgb, count=1, **changes):
    head = json.dumps({"inputs": [{**without(tensor(), "data"), "shape": [count, SIDE, SIDE, 3],
                                   "parameters": {"binary_data_size": len(rgb)}, **changes}]}).encode()
    return head + rgb, {"Inference-Header-Content-Length": str(len(head)),
                        "Content-Type": "application/octet-stream"}


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.server = Server(cls.folder.name, *cls.options())

    @classmethod
    def options(cls):
        return ()

    @classmethod
    def tearDownClass(cls):
        errors = cls.server.stop()
        cls.folder.cleanup()
        assert cls.server.process.returncode == 0, errors

    def refused(self, answer, status, part=""):
        self.assertEqual(answer[0], status, answer)
        error = json.loads(answer[1])
        self.assertEqual(list(error), ["error"])
        self.assertIn(part, error["error"])

    def raw_refused(self, answer, status, part=""):
        self.assertTrue(answer.startswith(b"HTTP/1.1 %d " % status), answer)
        self.refused((status, answer.partition(b"\r\n\r\n")[2]), status, part)

    def well(self):
        """The server is up and answers rightly."""
        status, body, _ = self.server.infer({"id": "still here", "inputs": [tensor()]})
        self.assertEqual(status, 200)
        self.assertEqual(json.loads(body)["id"], "still here")


class Protocol(Case):
    @classmethod
    def options(cls):
        return ("--score-digits", "3")

    def test_health_and_metadata(self):
        self.assertEqual(self.server.get("/v2/health/live")[:2], (200, b'{"live":true}'))
        self.assertEqual(self.server.get("/v2/health/ready")[:2], (200, b'{"ready":true}'))
        server = json.loads(self.server.get("/v2")[1])
        self.assertEqual(server["name"], "veilnet")
        self.assertIn("binary_tensor_data", server["extensions"])
        for path in ("/v2/models/m", "/v2/models/m/versions/1"):
            model = json.loads(self.server.get(path)[1])
            self.assertEqual(model["versions"], ["1"])
            self.assertEqual(model["inputs"],
                             [{"name": "images", "datatype": "UINT8", "shape": [-1, 32, 32, 3]}])
            self.assertEqual([o["name"] for o in model["outputs"]], ["label", "name", "probabilities"])
            self.assertRegex(model["parameters"]["content_sha256"], "^[0-9a-f]{64}$")
        self.assertEqual(json.loads(self.server.get("/v2/models/m/ready")[1]),
                         {"name": "m", "ready": True})

    def test_json_binary_and_file_agree(self):
        rgb = pixels(7, 3)
        names = []
        for i in range(3):
            status, body, _ = self.server.post("/v2/models/m/classify?top_k=2",
                                               png(rgb[i * BYTES:(i + 1) * BYTES]))
            self.assertEqual(status, 200, body)
            answer = json.loads(body)
            self.assertEqual(answer["top"][0]["name"], answer["name"])
            self.assertEqual(len(answer["top"]), 2)
            self.assertAlmostEqual(sum(one["probability"] for one in answer["top"]), 1, places=2)
            names.append(answer["name"])
        flat = {"inputs": [tensor(shape=[3, 32, 32, 3], data=list(rgb))]}
        nested = [[[list(rgb[(y * 32 + x) * 3:(y * 32 + x) * 3 + 3]) for x in range(32)]
                   for y in range(i * 32, i * 32 + 32)] for i in range(3)]
        tree = {"inputs": [tensor(shape=[3, 32, 32, 3], data=nested)], "outputs": [{"name": "name"}]}
        for body in (flat, tree):
            outputs = {o["name"]: o for o in json.loads(self.server.infer(body)[1])["outputs"]}
            self.assertEqual(outputs["name"]["data"], names)
        body, headers = binary_request(rgb, 3)
        plain = json.loads(self.server.infer(body, headers)[1])
        self.assertEqual(plain["outputs"][1]["data"], names)
        labels = plain["outputs"][0]["data"]
        head = json.loads(body[:int(headers["Inference-Header-Content-Length"])])
        head["parameters"] = {"binary_data_output": True}
        head = json.dumps(head).encode()
        status, body, answer = self.server.infer(head + rgb, {"Inference-Header-Content-Length":
                                                              str(len(head))})
        self.assertEqual(status, 200, body)
        size = int(answer["Inference-Header-Content-Length"])
        outputs = json.loads(body[:size])["outputs"]
        rest = body[size:]
        parts = []
        for output in outputs:
            length = output["parameters"]["binary_data_size"]
            parts.append(rest[:length])
            rest = rest[length:]
        self.assertEqual(rest, b"")
        self.assertEqual(list(struct.unpack("<3q", parts[0])), labels)
        read, at = [], 0
        while at < len(parts[1]):
            length, = struct.unpack_from("<I", parts[1], at)
            read.append(parts[1][at + 4:at + 4 + length].decode())
            at += 4 + length
        self.assertEqual(read, names)
        shares = struct.unpack("<6f", parts[2])
        for i in range(3):
            self.assertAlmostEqual(shares[2 * i] + shares[2 * i + 1], 1, places=2)

    def test_statistics_and_metrics_count(self):
        def counts():
            model = json.loads(self.server.get("/v2/models/m/stats")[1])["model_stats"][0]
            text = self.server.get("/metrics")[1].decode()
            return model, {line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
                           for line in text.splitlines() if not line.startswith("#")}

        before, metrics_before = counts()
        self.server.infer({"inputs": [tensor()]})
        self.server.infer({"inputs": [tensor(shape=[2, 32, 32, 3], data=list(pixels(2, 2)))]})
        self.server.infer({"inputs": []})
        after, metrics = counts()
        self.assertEqual(after["inference_count"] - before["inference_count"], 3)
        for kind, count in (("success", 2), ("fail", 1), ("queue", 2), ("compute_infer", 2)):
            grown = after["inference_stats"][kind]["count"] - before["inference_stats"][kind]["count"]
            self.assertEqual(grown, count, kind)
        self.assertGreater(after["inference_stats"]["compute_infer"]["ns"], 0)
        labels = '{model="m",version="1"'
        for name, count in ((f"nv_inference_count{labels}}}", 3),
                            (f"nv_inference_request_success{labels}}}", 2),
                            (f'nv_inference_request_failure{labels},reason="OTHER"}}', 1),
                            (f'veilnet_request_us_bucket{labels},le="+Inf"}}', 2)):
            self.assertEqual(metrics[name] - metrics_before[name], count, name)

    def test_many_at_once_get_their_own_answers(self):
        wanted = [json.loads(self.server.post("/v2/models/m/classify", png(pixels(i)))[1])
                  for i in range(24)]
        with concurrent.futures.ThreadPoolExecutor(24) as pool:
            got = list(pool.map(lambda i: json.loads(
                self.server.post("/v2/models/m/classify", png(pixels(i)))[1]), range(24)))
        self.assertEqual([one["label"] for one in got], [one["label"] for one in wanted])

    def test_the_log_holds_no_names_and_no_pixels(self):
        self.server.post("/v2/models/m/classify?file=IMG_secret.png", png(pixels()),
                         {"X-Request-Id": "secret", "User-Agent": "secret"})
        self.server.get("/v2/secret")
        lines = self.server.log.read_text().splitlines()
        self.assertNotIn("secret", "\n".join(lines))
        for line in lines:
            entry = json.loads(line)
            self.assertLessEqual({"time", "request", "route", "status", "bytes_in", "ms"}, set(entry))
        last = [json.loads(line) for line in lines if "classify" in line][-1]
        self.assertEqual((last["route"], last["status"], last["pictures"]),
                         ("/v2/models/{model}/classify", 200, 1))


class Malformed(Case):
    def tearDown(self):
        self.well()

    def test_every_field_of_a_request(self):
        one = tensor()
        cases = [
            ([], "the body"), ("text", "JSON"), (1, "the body"), ({}, "inputs is missing"),
            ({"inputs": 1}, "inputs"), ({"inputs": []}, "0 entries"),
            ({"inputs": [one, one]}, "2 entries"), ({"inputs": [1]}, "inputs[0]"),
            ({"id": 1, "inputs": [one]}, "id"), ({"id": "x" * 257, "inputs": [one]}, "257"),
            ({"parameters": 1, "inputs": [one]}, "parameters"),
            ({"parameters": {"timeout": -1}, "inputs": [one]}, "timeout"),
            ({"parameters": {"binary_data_output": 1}, "inputs": [one]}, "binary_data_output"),
            ({"inputs": [one], "outputs": 1}, "outputs"),
            ({"inputs": [one], "outputs": [1]}, "outputs[0]"),
            ({"inputs": [one], "outputs": [{}]}, "outputs[0].name"),
            ({"inputs": [one], "outputs": [{"name": "logits"}]}, "label, name"),
            ({"inputs": [one], "outputs": [{"name": "label"}, {"name": "label"}]}, "twice"),
            ({"inputs": [one], "outputs": [{"name": "label", "parameters": 1}]}, "parameters"),
            ({"inputs": [one], "outputs": [{"name": "label", "parameters": {"binary_data": 0}}]},
             "binary_data"),
            ({"inputs": [one], "outputs": [{"name": "label", "parameters": {"classification": 1}}]},
             "classification"),
        ]
        for key in ("name", "shape", "datatype", "data"):
            cases.append(({"inputs": [without(one, key)]}, key))
            for wrong in (None, 1.5, {}, True):
                cases.append(({"inputs": [tensor(**{key: wrong})]}, key))
        cases += [({"inputs": [tensor(**change)]}, part) for change, part in (
            ({"name": "x"}, '"images"'), ({"datatype": "FP32"}, "UINT8"), ({"shape": []}, "shape"),
            ({"shape": [1, 32, 32]}, "shape"), ({"shape": [1, 3, 32, 32]}, "shape"),
            ({"shape": [0, 32, 32, 3]}, "0 pictures"), ({"shape": [-1, 32, 32, 3]}, "-1 pictures"),
            ({"shape": [2 ** 62, 32, 32, 3]}, "pictures"), ({"shape": [2 ** 64, 32, 32, 3]}, "number"),
            ({"shape": [2 ** 32, 2 ** 32, 2 ** 32, 3]}, "shape"), ({"shape": [1] * 9}, "shape"),
            ({"shape": ["1", 32, 32, 3]}, "shape"), ({"data": []}, "0 values"),
            ({"data": list(pixels())[:-1]}, "3071 values"),
            ({"data": list(pixels()) + [0]}, "more than 3072"),
            ({"data": [256] + list(pixels())[1:]}, "0 to 255"),
            ({"data": [-1] + list(pixels())[1:]}, "0 to 255"),
            ({"data": [0.5] + list(pixels())[1:]}, "0 to 255"),
            ({"data": ["1"] + list(pixels())[1:]}, "0 to 255"),
            ({"data": [None] + list(pixels())[1:]}, "0 to 255"),
            ({"parameters": {"binary_data_size": BYTES}}, "either"),
            ({"parameters": []}, "parameters"),
        )]
        for body, part in cases:
            with self.subTest(part=part, body=str(body)[:80]):
                self.refused(self.server.infer(body), 400, part)

    def test_what_is_no_json(self):
        good = json.dumps({"inputs": [tensor()]})
        for body in ("", "{", "[1,]", "\0", good[:-1], good + "x", good.replace("[1, 32", "[NaN, 32"),
                     good.replace("[1, 32", "[1e999, 32"), good.replace("images", "\ud800" "x"),
                     "NaN", "Infinity", '{"inputs": [], "inputs": []}', b"\xff\xfe", b"\xef\xbb\xbf{}"):
            with self.subTest(body=body[:40]):
                if isinstance(body, str):
                    body = body.encode("utf-8", "surrogatepass")
                self.refused(self.server.infer(body), 400)
        for value in ("NaN", "Infinity", "-Infinity", "1e999"):
            data = "[" + ",".join([value] + ["0"] * (BYTES - 1)) + "]"
            body = json.dumps({"inputs": [tensor(data=0)]}).replace('"data": 0', '"data": ' + data)
            self.refused(self.server.infer(body), 400)

    def test_deep_json(self):
        for opening in ("[", '{"a":'):
            self.refused(self.server.infer(opening * 17), 400, "")
            self.refused(self.server.infer(opening * 10000), 400, "")
        deep = "[" * 30000 + "1" + "]" * 30000
        self.refused(self.server.infer('{"inputs": ' + deep + "}"), 400, "16 levels")

    def test_binary_framing(self):
        rgb = pixels()
        body, headers = binary_request(rgb)
        name = "Inference-Header-Content-Length"
        size = int(headers[name])
        for given, part in (("-1", name), ("x", name), ("99999999999999999999", name), ("1.5", name),
                            (str(len(body) + 1), name), ("0", "no JSON"), (str(size - 1), "JSON"),
                            (str(size + 1), "JSON")):
            with self.subTest(given=given):
                self.refused(self.server.infer(body, {name: given}), 400, part)
        self.refused(self.server.infer(body), 400, "JSON")  # without the header
        self.refused(self.server.infer(body[:-1], headers), 400, "3071 bytes follow")
        self.refused(self.server.infer(body + b"x", headers), 400, "3073 bytes follow")
        for wrong in (BYTES - 1, -1, "x", None, 1.5):
            body, headers = binary_request(rgb, parameters={"binary_data_size": wrong})
            self.refused(self.server.infer(body, headers), 400, "binary_data_size")
        body, headers = binary_request(struct.pack("<f", float("nan")) * 768, datatype="FP32")
        self.refused(self.server.infer(body, headers), 400, "UINT8")
        body, headers = binary_request(rgb, parameters={})
        self.refused(self.server.infer(body, headers), 400, "either")

    def test_pictures(self):
        good = png(pixels())
        path = "/v2/models/m/classify"
        for body, part in ((b"", "empty"), (b"text", "not a PNG"), (good[:40], ""), (good[:-20], ""),
                           (good[:60] + b"x" + good[61:], ""), (png(bytes(48 * 48 * 3), 48), "48x48"),
                           (png(bytes(BYTES), claimed=30000), "30000x30000"),
                           (png(bytes(16 * 16 * 3), 16), "16x16")):
            with self.subTest(part=part, size=len(body)):
                self.refused(self.server.post(path, body), 400, part)
        bomb = bytearray(png(bytes(BYTES)))
        self.refused(self.server.post(path, zlib.compress(bytes(10 ** 7)),
                                      {"Content-Encoding": "gzip"}), 415, "compressed")
        # 40 MB of zeros behind the rows of a picture of 32x32.
        rows = zlib.compress(bytes(4 * 10 ** 7))
        head = bytes(bomb[:33])
        idat = struct.pack(">I", len(rows)) + b"IDAT" + rows + struct.pack(">I", zlib.crc32(b"IDAT" + rows))
        self.refused(self.server.post(path, head + idat + bytes(bomb[-12:])), 400, "more data than the picture has")
        for query in ("top_k=0", "top_k=6", "top_k=-1", "top_k=x", "top_k="):
            self.refused(self.server.post(f"{path}?{query}", good), 400, "top_k")

    def test_paths_and_methods(self):
        for path in ("/", "/v1", "/v2/", "/v2/health", "/v2/models", "/v2/models/m/", "//v2",
                     "/v2/models/m/versions", "/v2/models/m/versions/x", "/v2/models/m/versions/1/x",
                     "/v2/models/m/infer/x", "/v2/../v2", "/v2/models/m/versions/99999999999999999999"):
            self.refused(self.server.get(path), 404)
        for name in ("x", "%6d", "..", "m%00", "M"):
            self.refused(self.server.post(f"/v2/models/{name}/infer", "{}"), 404, "no model")
        self.refused(self.server.post("/v2/models/m/versions/2/infer", "{}"), 404, "version 1")
        self.refused(self.server.get("/v2/models/m/infer"), 405, "POST")
        self.refused(self.server.post("/v2/health/live"), 405, "GET")
        self.refused(self.server.request("DELETE", "/v2/models/m"), 405, "GET")
        self.refused(self.server.post("/v2/repository/models/m/unload"), 403, "--allow-control")
        self.assertTrue(self.server.raw(b"HEAD /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 405"))

    def test_size_of_the_body(self):
        def padded(size):
            body = json.dumps({"inputs": [tensor()]})
            return body + " " * (size - len(body))

        self.assertEqual(self.server.infer(padded(LIMIT))[0], 200)
        self.refused(self.server.infer(padded(LIMIT + 1)), 413, str(LIMIT))
        head = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
        self.raw_refused(self.server.raw(head % (LIMIT + 1) + b"\r\n"), 413)
        self.raw_refused(self.server.raw(head % (LIMIT + 1) + b"Expect: 100-continue\r\n\r\n"), 413)
        chunk = b"%x\r\n" % (LIMIT + 1) + b"x" * (LIMIT + 1) + b"\r\n0\r\n\r\n"
        self.raw_refused(self.server.raw(
            b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk), 413)

    def test_framing_of_http(self):
        start = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n"
        for lines, status in (
                (b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", 400),
                (b"Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}", 400),
                (b"Content-Length: 2, 2\r\n\r\n{}", 400),
                (b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
                (b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n\r\n2\r\n{}\r\n0\r\n\r\n", 400),
                (b"Transfer-Encoding: gzip\r\n\r\n", 501),
                (b"Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
                (b"Content-Length: x\r\n\r\n", 400), (b"Content-Length: -1\r\n\r\n", 400),
                (b"Content-Length: 99999999999999999999\r\n\r\n", 400),
                (b"Content-Length : 2\r\n\r\n{}", 400), (b"A B: c\r\n\r\n", 400),
                (b"Transfer-Encoding: chunked\r\n\r\nxyz\r\n", 400),
                (b"Transfer-Encoding: chunked\r\n\r\n-1\r\n", 400),
                (b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffff\r\n", 400),
                (b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n", 400),
                # Extensions and trailers that do not end are held by no other limit.
                (b"Transfer-Encoding: chunked\r\n\r\n5;" + b"x" * 300_000, 400),
                (b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 50_000, 400),
                (b"A: " + b"x" * 20000 + b"\r\n\r\n", 431)):
            with self.subTest(lines=lines[:60]):
                self.raw_refused(self.server.raw(start + lines), status)
        self.raw_refused(self.server.raw(b"GET /v2 HTTP/1.1\r\n\r\n"), 400, "Host")
        self.raw_refused(self.server.raw(b"GET /v2 HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"), 400, "Host")
        self.raw_refused(self.server.raw(b"GET /v2 HTTP/9.9\r\nHost: a\r\n\r\n"), 400)
        self.raw_refused(self.server.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" * 10), 400)
        self.raw_refused(self.server.raw(b"GET  /v2 HTTP/1.1\r\nHost: a\r\n\r\n"), 400)
        self.raw_refused(self.server.raw(
            b"POST /v2/models/m/infer HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400)

    def test_chunks_pipelines_and_half_closed_sockets(self):
        body = json.dumps({"inputs": [tensor()]}).encode()
        chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in
                          (body[i:i + 1000] for i in range(0, len(body), 1000))) + b"0\r\n\r\n"
        start = b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n"
        chunked = start + b"Transfer-Encoding: chunked\r\n\r\n" + chunks
        answer = self.server.raw(chunked + b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\n\r\n" +
                                 b"GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n" +
                                 start + b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body) +
                                 body + b"GET /v2 HTTP/1.1\r\n")
        statuses = re.findall(rb"HTTP/1\.1 (\d+)", answer)
        self.assertEqual(statuses, [b"200", b"200", b"404", b"200"])
        self.assertIn(b"200 OK", self.server.raw(chunked, half_close=True))
        # Less than was promised, and gone.
        self.assertEqual(self.server.raw(start + b"Content-Length: 100\r\n\r\n{}", half_close=True), b"")
        self.assertEqual(self.server.raw(start[:30], half_close=True), b"")
        self.assertEqual(self.server.raw(b"", half_close=True), b"")
        # More than was promised is the next request.
        answer = self.server.raw(start + b"Content-Length: 2\r\n\r\n{}xyz\r\n\r\n")
        self.assertEqual(answer.count(b"HTTP/1.1 400"), 2)


class Limits(unittest.TestCase):
    def test_slow_requests_and_too_many_connections(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder, "--header-timeout-ms", "300", "--body-timeout-ms", "300",
                            "--max-connections", "4")
            try:
                for begin in (b"GET /v2 HT", b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\n"
                                             b"Content-Length: 100\r\n\r\n{"):
                    answer = server.raw(begin)
                    self.assertTrue(answer.startswith(b"HTTP/1.1 408"), answer)
                held = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(4)]
                time.sleep(0.3)
                self.assertEqual(server.get("/v2")[0], 503)
                for one in held:
                    one.close()
                time.sleep(0.3)
                self.assertEqual(server.get("/v2")[0], 200)
            finally:
                server.stop()

    def test_overload_is_refused_quickly_and_passes(self):
        with tempfile.TemporaryDirectory() as folder:
            # A picture waits a second for others: the queue fills.
            server = Server(folder, "--max-queue", "4", "--max-batch", "64", "--max-delay-us", "1000000",
                            "--workers", "1")
            try:
                body, headers = binary_request(pixels())
                with concurrent.futures.ThreadPoolExecutor(12) as pool:
                    done = list(pool.map(lambda _: (server.infer(body, headers)[0], time.monotonic()),
                                         range(12)))
                statuses = [status for status, _ in done]
                self.assertEqual(sorted(set(statuses)), [200, 503])
                self.assertEqual(statuses.count(200), 4)
                begin = min(when for status, when in done if status == 503)
                self.assertLess(max(when for status, when in done if status == 503) - begin, 0.5)
                self.assertEqual(server.infer(body, headers)[0], 200)
                late = json.loads(body[:int(headers["Inference-Header-Content-Length"])])
                late["parameters"] = {"timeout": 1000}
                head = json.dumps(late).encode()
                status, answer, _ = server.infer(
                    head + pixels(), {"Inference-Header-Content-Length": str(len(head))})
                self.assertEqual(status, 504, answer)
            finally:
                server.stop()

    def test_the_work_of_a_client_that_is_gone_is_dropped(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder, "--max-batch", "64", "--max-delay-us", "500000")
            try:
                body, headers = binary_request(pixels())
                request = (b"POST /v2/models/m/infer HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n"
                           b"Inference-Header-Content-Length: %s\r\n\r\n" %
                           (len(body), headers["Inference-Header-Content-Length"].encode()) + body)
                # The second one has sent more, which nobody has read when it goes.
                for sent in (request, request + b"GET /v2 HTTP/1.1\r\n"):
                    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as connection:
                        connection.sendall(sent)
                        time.sleep(0.1)
                metrics = ""
                for _ in range(200):
                    metrics = server.get("/metrics")[1].decode()
                    if 'reason="CANCELED"} 2' in metrics:
                        break
                    time.sleep(0.05)
                self.assertIn('reason="CANCELED"} 2', metrics)
                self.assertIn('nv_inference_exec_count{model="m",version="1"} 0', metrics)
                self.assertEqual(server.infer(body, headers)[0], 200)
            finally:
                server.stop()

    def test_hosts_ports_and_models_that_cannot_be_served(self):
        for words, part in (((), "no model"), (("--model", f"a b={PSI}"), "letters"), (("--models", "/nowhere"), "listed"),
                            (("--model", f"m={PSI}", "--model", f"m={PSI}"), "twice"),
                            (("--model", f"m={PSI}", "--host", "0.0.0.0"), "--tls-cert"),
                            (("--model", f"m={PSI}", "--host", "localhost"), "--tls-cert"),
                            (("--model", f"m={PSI}", "--tls-cert", PSI), "private key"),
                            (("--model", f"m={PSI}", "--tls-cert", PSI, "--tls-key", PSI), "certificate")):
            done = subprocess.run([VEILNET, "serve", *map(str, words), "--port", "0"],
                                  capture_output=True, text=True, timeout=60)
            self.assertNotEqual(done.returncode, 0, done)
            self.assertIn(part, done.stderr)


class HotSwap(unittest.TestCase):
    def test_versions_take_each_others_place_without_a_failed_request(self):
        with tempfile.TemporaryDirectory() as folder:
            models = pathlib.Path(folder, "models")
            (models / "m" / "1").mkdir(parents=True)
            shutil.copy(PSI, models / "m" / "1" / "model.safetensors")
            server = Server(folder, "--allow-control", models=("--models", models))
            stop = False

            def ask():
                body, headers = binary_request(pixels())
                versions = set()
                connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
                while not stop:
                    connection.request("POST", "/v2/models/m/infer", body, headers)
                    answer = connection.getresponse()
                    text = answer.read()
                    if answer.status != 200:
                        raise AssertionError((answer.status, text))
                    versions.add(json.loads(text)["model_version"])
                return versions

            try:
                with concurrent.futures.ThreadPoolExecutor(3) as pool:
                    askers = [pool.submit(ask) for _ in range(3)]
                    for version in (2, 3, 4):
                        (models / "m" / str(version)).mkdir()
                        shutil.copy(PSI, models / "m" / str(version) / "model.safetensors")
                        status, body, _ = server.post("/v2/repository/models/m/load", "{}")
                        self.assertEqual(status, 200, body)
                        time.sleep(0.2)
                    # One that cannot be loaded changes nothing.
                    (models / "m" / "5").mkdir()
                    (models / "m" / "5" / "model.safetensors").write_bytes(b"x" * 100)
                    status, body, _ = server.post("/v2/repository/models/m/load", "{}")
                    self.assertEqual(status, 400, body)
                    index = json.loads(server.post("/v2/repository/index")[1])
                    self.assertEqual([(one["version"], one["state"]) for one in index],
                                     [("4", "READY"), ("5", "UNAVAILABLE")])
                    stop = True
                    seen = set().union(*(one.result() for one in askers))
                self.assertIn("4", seen)
                self.assertGreater(len(seen), 1)
                self.assertEqual(server.post("/v2/repository/models/x/load", "{}")[0], 404)
                self.assertEqual(server.post("/v2/repository/models/m/unload", "{}")[0], 200)
                self.assertEqual(server.get("/v2/models/m/ready")[0], 404)
                self.assertEqual(server.get("/v2/health/ready")[0], 200)
                self.assertEqual(server.post("/v2/repository/models/m/load", "{}")[0], 400)
            finally:
                server.stop()

    def test_a_server_without_its_model_is_alive_and_not_ready(self):
        with tempfile.TemporaryDirectory() as folder:
            models = pathlib.Path(folder, "models")
            (models / "good" / "1").mkdir(parents=True)
            (models / "bad").mkdir()
            shutil.copy(PSI, models / "good" / "1" / "model.safetensors")
            server = Server(folder, "--allow-control", models=("--models", models), wait="good")
            try:
                self.assertEqual(server.get("/v2/health/live")[0], 200)
                self.assertEqual(server.get("/v2/health/ready")[0], 503)
                self.assertEqual(server.get("/v2/models/good/ready")[0], 200)
                self.assertEqual(server.get("/v2/models/bad/ready")[0], 503)
                self.assertEqual(server.post("/v2/models/bad/classify", "x")[0], 503)
                self.assertEqual(server.post("/v2/repository/models/bad/unload", "{}")[0], 200)
                self.assertEqual(server.get("/v2/health/ready")[0], 200)
            finally:
                server.stop()


class Listed(unittest.TestCase):
    def test_a_model_is_served_by_the_name_that_it_is_listed_by(self):
        if not (pathlib.Path(__file__).parents[2] / "models" / "index.json").exists():
            self.skipTest("no models/ here")
        with tempfile.TemporaryDirectory() as folder:
            for models in (("--model", "synthetic-psi"), ("--model", "synthetic-psi=synthetic-psi")):
                server = Server(folder, models=models)
                try:
                    self.assertEqual(server.get("/v2/models/synthetic-psi/ready")[0], 200)
                finally:
                    server.stop()


class Draining(unittest.TestCase):
    def test_what_has_begun_is_answered_after_sigterm(self):
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder, "--max-delay-us", "700000", "--max-batch", "64")
            body, headers = binary_request(pixels())
            with concurrent.futures.ThreadPoolExecutor(5) as pool:
                # An idle connection does not hold the end up.
                idle = socket.create_connection(("127.0.0.1", server.port))
                waiting = [pool.submit(server.infer, body, headers) for _ in range(4)]
                time.sleep(0.3)
                begin = time.monotonic()
                errors = server.stop()
                self.assertEqual(server.process.returncode, 0, errors)
                self.assertLess(time.monotonic() - begin, 10)
                self.assertEqual([one.result()[0] for one in waiting], [200] * 4)
                idle.close()
            with self.assertRaises(OSError):
                socket.create_connection(("127.0.0.1", server.port))


class Keys(unittest.TestCase):
    def test_a_key_is_needed_and_its_owner_may_not_ask_too_often(self):
        with tempfile.TemporaryDirectory() as folder:
            keys = pathlib.Path(folder, "keys")
            key = subprocess.run([VEILNET, "apikey", "alice", "--keys", keys], capture_output=True,
                                 text=True, check=True).stdout.strip()
            server = Server(folder, "--keys", keys, "--requests-per-second", "3", wait=None)
            try:
                self.assertEqual(server.get("/v2/health/live")[0], 200)
                for header in ({}, {"Authorization": key}, {"Authorization": "Bearer x"},
                               {"Authorization": f"Bearer {key}x"}, {"Authorization": "Basic " + key}):
                    for path in ("/v2", "/metrics", "/v2/models/m"):
                        self.assertEqual(server.request("GET", path, headers=header)[0], 401)
                    status = server.post("/v2/models/m/classify", png(pixels()), header)[0]
                    self.assertEqual(status, 401)
                good = {"Authorization": f"Bearer {key}"}
                statuses = [server.post("/v2/models/m/classify", png(pixels()), good)[0]
                            for _ in range(12)]
                self.assertEqual(set(statuses), {200, 429})
                self.assertLessEqual(3, statuses.count(200))
                self.assertNotIn(key, server.log.read_text())
            finally:
                server.stop()


class Web(unittest.TestCase):
    FILES = {"index.html": (b"<!doctype html><title>a</title>", "text/html; charset=utf-8"),
             "assets/page-1a.js": (b"export {}", "text/javascript; charset=utf-8"),
             "assets/ort.mjs": (b"export {};", "text/javascript; charset=utf-8"),
             "assets/page.css": (b"p {}", "text/css; charset=utf-8"),
             "assets/ort.wasm": (b"\0asm" * 100_000, "application/wasm"),
             "models/h.onnx": (b"\x08\x07", "application/octet-stream"),
             "models/models.json": (b"{}", "application/json"),
             "a.png": (png(pixels()), "image/png"),
             "empty.txt": (b"", "text/plain; charset=utf-8")}

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = pathlib.Path(folder.name)
        self.page = self.root / "page"
        for name, (data, _) in self.FILES.items():
            (self.page / name).parent.mkdir(parents=True, exist_ok=True)
            (self.page / name).write_bytes(data)

    def served(self, *options):
        server = Server(self.root, "--web", self.page, *options)
        self.addCleanup(server.stop)
        return server

    def test_files_come_with_their_types_and_with_what_keeps_a_page_to_itself(self):
        server = self.served()
        for name, (data, kind) in self.FILES.items():
            status, body, headers = server.get("/" + name)
            self.assertEqual((status, body, headers["Content-Type"]), (200, data, kind), name)
            policy = dict(part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";"))
            self.assertEqual(policy["default-src"], "'none'")
            self.assertEqual(policy["script-src"], "'self' 'wasm-unsafe-eval'")
            self.assertEqual(policy["connect-src"], "'self'")
            self.assertEqual(policy["frame-ancestors"], "'none'")
            self.assertNotIn("unsafe-inline", headers["Content-Security-Policy"])
            for field, value in (("Cross-Origin-Opener-Policy", "same-origin"),
                                 ("Cross-Origin-Embedder-Policy", "require-corp"),
                                 ("Cross-Origin-Resource-Policy", "same-origin"),
                                 ("X-Content-Type-Options", "nosniff"),
                                 ("Referrer-Policy", "no-referrer"), ("Cache-Control", "no-cache")):
                self.assertEqual(headers[field], value)
            self.assertEqual(server.request("HEAD", "/" + name)[:2], (200, b""))
            self.assertEqual(int(server.request("HEAD", "/" + name)[2]["Content-Length"]), len(data))
            same = {"If-None-Match": 'W/"x", ' + headers["ETag"]}
            status, body, headers = server.request("GET", "/" + name, headers=same)
            self.assertEqual((status, body), (304, b""))
            self.assertNotIn("Content-Length", headers)
            self.assertEqual(server.request("GET", "/" + name, headers={"If-None-Match": '"x"'})[0], 200)
        self.assertEqual(server.get("/")[1], self.FILES["index.html"][0])
        self.assertEqual(server.get("/?a=b")[1], self.FILES["index.html"][0])
        # The protocol is there as before, and on the connection of a HEAD.
        twice = server.raw(b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
                           b"GET /v2/health/live HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        self.assertEqual(twice.count(b"HTTP/1.1 200"), 2)
        self.assertNotIn(b"<!doctype", twice)
        self.assertEqual(server.post("/v2/models/m/classify", png(pixels()))[0], 200)
        self.assertIn(b'route="/{file}",status="304"', server.get("/metrics")[1])

    def test_no_path_leads_elsewhere(self):
        (self.root / "secret.txt").write_text("SECRET")
        (self.page / ".hidden").write_text("SECRET")
        (self.page / ".git").mkdir()
        (self.page / ".git" / "config").write_text("SECRET")
        server = self.served()
        for path in ("/../secret.txt", "/assets/../../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt",
                     "/assets/..%5c..%5csecret.txt", "//etc/passwd", "/etc/passwd", f"/{self.root}/secret.txt",
                     f"{self.root}/secret.txt", "/assets", "/assets/", "/assets/./page.css", "//index.html",
                     "/index.html/", "/INDEX.HTML", "/.hidden", "/.git/config", "/nothing.js", "/index.html%00",
                     "/v2/../index.html", "/v2/index.html", "/metrics/a.png", "secret.txt", "*"):
            answer = server.raw(f"GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
            self.assertTrue(answer.startswith(b"HTTP/1.1 404"), (path, answer))
            self.assertNotIn(b"SECRET", answer)
        for method in ("POST", "PUT", "DELETE", "OPTIONS"):
            status, _, headers = server.request(method, "/index.html", b"x")
            self.assertEqual((status, headers["Allow"]), (405, "GET, HEAD"))
        # What comes later is not there until the next start, links among it.
        (self.page / "late.txt").symlink_to("/etc/passwd")
        self.assertEqual(server.get("/late.txt")[0], 404)
        log = server.log.read_text()
        self.assertNotIn("secret", log)
        self.assertNotIn("index", log)

    def test_a_key_is_asked_for_the_models_alone(self):
        keys = self.root / "keys"
        subprocess.run([VEILNET, "apikey", "alice", "--keys", keys], capture_output=True, check=True)
        server = Server(self.root, "--web", self.page, "--keys", keys, wait=None)
        self.addCleanup(server.stop)
        self.assertEqual(server.get("/")[0], 200)
        self.assertEqual(server.post("/v2/models/m/classify", png(pixels()))[0], 401)

    def test_folders_that_are_no_page(self):
        def refused(part):
            done = subprocess.run([VEILNET, "serve", "--model", f"m={PSI}", "--web", self.page, "--port", "0"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn(part, done.stderr)

        for target in ("/etc/passwd", "index.html", "nowhere", "/etc"):
            (self.page / "link").symlink_to(target)
            refused("link: is a link or no file")
            (self.page / "link").unlink()
        (self.page / "a b.txt").write_text("")
        refused("a b.txt: allowed in a name are")
        (self.page / "a b.txt").unlink()
        with (self.page / "large.bin").open("wb") as file:
            file.truncate(257 << 20)
        refused("large.bin")
        (self.page / "large.bin").unlink()
        (self.page / "index.html").unlink()
        refused("there is no index.html")
        shutil.rmtree(self.page)
        refused("there is no such folder")


class Tls(unittest.TestCase):
    def test_tls_13_and_nothing_older(self):
        if not shutil.which("openssl"):
            self.skipTest("there is no openssl program to make a certificate")
        with tempfile.TemporaryDirectory() as folder:
            cert, key = pathlib.Path(folder, "cert.pem"), pathlib.Path(folder, "key.pem")
            subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                            "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj",
                            "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1",
                            "-out", cert, "-keyout", key], check=True, capture_output=True)
            server = Server(folder, "--tls-cert", cert, "--tls-key", key, tls=cert)
            try:
                def ask(newest):
                    context = ssl.create_default_context(cafile=cert)
                    context.maximum_version = newest
                    with socket.create_connection(("127.0.0.1", server.port), timeout=30) as plain:
                        with context.wrap_socket(plain, server_hostname="localhost") as stream:
                            stream.sendall(b"GET /v2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                            answer = b""
                            while part := stream.recv(4096):
                                answer += part
                            return answer

                self.assertIn(b"200 OK", ask(ssl.TLSVersion.TLSv1_3))
                with self.assertRaises(ssl.SSLError):
                    ask(ssl.TLSVersion.TLSv1_2)
                for garbage in (b"GET /v2 HTTP/1.1\r\nHost: a\r\n\r\n", b"\x16\x03\x01\xff\xff" * 100, b"\0"):
                    server.raw(garbage, half_close=True)
                self.assertIn(b"200 OK", ask(ssl.TLSVersion.TLSv1_3))
                photo = pathlib.Path(folder, "a.png")
                photo.write_bytes(png(pixels()))
                words = [VEILNET, "client", photo, "--model", H, "--server",
                         f"https://127.0.0.1:{server.port}", "--psi-sha256", server.psi(), "--tries", "1"]
                done = subprocess.run([*words, "--ca", cert], capture_output=True, text=True)
                self.assertEqual(done.returncode, 0, done)
                done = subprocess.run(words, capture_output=True, text=True)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn("certificate verify failed", done.stderr)
            finally:
                server.stop()


class Client(Case):
    def setUp(self):
        self.photos = pathlib.Path(self.folder.name, "photos")
        self.photos.mkdir(exist_ok=True)
        for i in range(5):
            (self.photos / f"{i}.png").write_bytes(png(pixels(i)))

    def client(self, *words, server=None, psi=True):
        return subprocess.run(
            [VEILNET, "client", self.photos, "--model", H, "--server",
             server or f"http://127.0.0.1:{self.server.port}",
             *(("--psi-sha256", self.server.psi()) if psi else ()), *words],
            capture_output=True, text=True, timeout=120)

    def asked(self):
        lines = self.server.log.read_text().splitlines()
        return sum("/classify" in json.loads(line)["route"] for line in lines)

    def test_labels_are_those_of_protect_and_classify(self):
        protected = pathlib.Path(self.folder.name, "protected")
        subprocess.run([VEILNET, "protect", self.photos, "--model", H, "-o", protected, "--force"],
                       check=True, capture_output=True)
        named = pathlib.Path(self.folder.name, "named.json")
        subprocess.run([VEILNET, "classify", protected, "--model", PSI, "--json", named], check=True,
                       capture_output=True)
        wanted = [one["top"][0]["class"] for one in json.loads(named.read_text())["results"]]
        done = self.client("--format", "csv")
        self.assertEqual(done.returncode, 0, done)
        lines = done.stdout.splitlines()
        self.assertEqual(lines[0], "input,label,name")
        self.assertEqual([line.split(",")[2] for line in lines[1:]], wanted)
        self.assertEqual([line.split(",")[0] for line in lines[1:]],
                         [str(self.photos / f"{i}.png") for i in range(5)])
        rows = [json.loads(line) for line in self.client("--format", "jsonl").stdout.splitlines()]
        self.assertEqual([row["name"] for row in rows], wanted)
        text = self.client("--top-k", "2").stdout.splitlines()
        self.assertEqual([line.split("  ")[1].split(", ")[0] for line in text], wanted)
        would = pathlib.Path(self.folder.name, "would")
        before = self.asked()
        done = self.client("--dry-run", "-o", would, "--force")
        self.assertEqual(done.returncode, 0, done)
        self.assertEqual(self.asked(), before)
        for path in protected.iterdir():
            self.assertEqual((would / path.name).read_bytes(), path.read_bytes())

    def test_a_dry_run_of_one_picture_is_told_where_to_write(self):
        done = subprocess.run([VEILNET, "client", self.photos / "0.png", "--model", H, "--server",
                               f"http://127.0.0.1:{self.server.port}", "--dry-run"],
                              capture_output=True, text=True, timeout=120, cwd=self.folder.name)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("--output is not set", done.stderr)

    def test_another_psi_gets_nothing(self):
        before = self.asked()
        done = self.client("--psi-sha256", "0" * 64, psi=False)
        self.assertEqual(done.returncode, 1, done)
        self.assertIn("nothing was sent", done.stderr)
        done = self.client(psi=False)
        self.assertEqual(done.returncode, 2, done)
        self.assertIn("--psi-sha256", done.stderr)
        for words, part in ((("--server", "ftp://x"), "http://HOST:PORT"),
                            (("--server", "http://127.0.0.1:0"), "http://HOST:PORT"),
                            (("--server", "http://a/b"), "http://HOST:PORT"),
                            (("--name", "x"), "no model"), (("-o", "/nowhere"), "--dry-run")):
            server = words[1] if words[0] == "--server" else None
            done = self.client(*(() if server else words), server=server)
            self.assertNotEqual(done.returncode, 0)
            self.assertIn(part, done.stderr)
        self.assertEqual(self.asked(), before)

    def test_it_tries_again_and_gives_up(self):
        class Flaky(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            seen = collections.Counter()

            def answer(self, status, value, **headers):
                body = json.dumps(value).encode()
                self.send_response(status)
                for name, text in headers.items():
                    self.send_header(name.replace("_", "-"), text)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_GET(self):
                self.answer(200, {"parameters": {"content_sha256": "a" * 64}})

            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"]))
                Flaky.seen[body] += 1
                turn = Flaky.seen[body]
                if turn == 1:
                    self.answer(503, {"error": "busy"}, Retry_After="0")
                elif turn == 2:
                    self.close_connection = True  # without an answer
                else:
                    self.answer(200, {"label": 1, "name": "dog"})

            def log_message(self, *_):
                pass

        flaky = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Flaky)
        threading.Thread(target=flaky.serve_forever, daemon=True).start()
        words = ("--psi-sha256", "a" * 64, "--name", "m", "--format", "csv")
        try:
            server = f"http://127.0.0.1:{flaky.server_address[1]}"
            done = self.client(*words, server=server, psi=False)
            self.assertEqual(done.returncode, 0, done)
            self.assertEqual(done.stdout.count(",1,dog"), 5)
            self.assertTrue(all(count == 3 for count in Flaky.seen.values()), Flaky.seen)
            Flaky.seen.clear()
            done = self.client(*words, "--tries", "1", server=server, psi=False)
            self.assertEqual(done.returncode, 1, done)
            self.assertIn("busy", done.stderr)
        finally:
            flaky.shutdown()
            flaky.server_close()
        done = self.client(*words, "--tries", "2", "--timeout-ms", "500", psi=False,
                           server="http://127.0.0.1:1")
        self.assertEqual(done.returncode, 1, done)


class Library(unittest.TestCase):
    def test_its_client_says_what_the_command_says(self):
        built = sorted(pathlib.Path(VEILNET).resolve().parent.glob("python/veilnet*.so"))
        if not built:
            self.skipTest("no Python module in the build (-DVEILNET_PYTHON=ON)")
        script = """
import json, math, sys
sys.path.insert(0, sys.argv[1])
import numpy as np, veilnet
h, server, psi = sys.argv[2:]
client = veilnet.Client(h, server, classifier_sha256=psi)
image = np.arange(32 * 32 * 3, dtype=np.uint32).reshape(32, 32, 3).astype(np.uint8)
veilnet.write_png("plain.png", image)
try:
    veilnet.Client(h, server, classifier_sha256="0" * 64)
except veilnet.Error as e:
    refused = str(e)
labels = client.classify(image, top_k=2)
print(json.dumps([labels[0][0], len(labels), math.isnan(labels[0][1]), client.warned, refused]))
"""
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder)
            try:
                url = f"http://127.0.0.1:{server.port}"
                done = subprocess.run(["python3", "-c", script, built[0].parent, H, url, server.psi()], cwd=folder,
                                      capture_output=True, text=True)
                if "No module named" in done.stderr:
                    self.skipTest(done.stderr.strip().splitlines()[-1])
                self.assertEqual(done.returncode, 0, done.stderr)
                name, count, silent, warned, refused = json.loads(done.stdout)
                line = subprocess.run([VEILNET, "client", f"{folder}/plain.png", "--model", H, "--server", url,
                                       "--psi-sha256", server.psi(), "--format", "jsonl"], capture_output=True, text=True)
                self.assertEqual(json.loads(line.stdout)["name"], name)
                self.assertEqual((count, silent, warned), (2, True, False))
                self.assertIn("nothing was sent", refused)
            finally:
                server.stop()


    def test_its_c_client_says_what_the_command_says(self):
        library = pathlib.Path(VEILNET).resolve().parent / "libveilnet.so"
        if not library.exists():
            self.skipTest("libveilnet.so was not built")

        class Picture(ctypes.Structure):
            _fields_ = [("height", ctypes.c_int), ("width", ctypes.c_int), ("rgb", ctypes.POINTER(ctypes.c_uint8))]

        class Options(ctypes.Structure):
            _fields_ = ([(name, ctypes.c_char_p) for name in ("name", "classifier_sha256", "api_key", "ca_file")]
                        + [("timeout_ms", ctypes.c_int), ("tries", ctypes.c_int)])

        class Label(ctypes.Structure):
            _fields_ = [("name", ctypes.c_char_p), ("probability", ctypes.c_double)]

        c = ctypes.CDLL(library)
        c.veilnet_message.restype = ctypes.c_char_p
        bad_data, client, plain, labels, count = 3, ctypes.c_void_p(), Picture(), (Label * 2)(), ctypes.c_int()
        with tempfile.TemporaryDirectory() as folder:
            server = Server(folder)
            try:
                url = f"http://127.0.0.1:{server.port}"
                photo = pathlib.Path(folder, "plain.png")
                subprocess.run([VEILNET, "schemes", "--grid", photo], check=True, capture_output=True)
                opened = lambda psi: c.veilnet_client_open(str(H).encode(), None, url.encode(),
                                                           ctypes.byref(Options(classifier_sha256=psi.encode())),
                                                           ctypes.byref(client))
                self.assertEqual(opened("0" * 64), bad_data)
                self.assertIn(b"nothing was sent", c.veilnet_message())
                self.assertEqual(opened(server.psi()), 0, c.veilnet_message())
                self.assertEqual(c.veilnet_read_picture(str(photo).encode(), ctypes.byref(plain)), 0)
                cause = c.veilnet_client_classify(client, ctypes.byref(plain), 2, labels, ctypes.byref(count))
                self.assertEqual(cause, 0, c.veilnet_message())
                line = subprocess.run([VEILNET, "client", photo, "--model", H, "--server", url,
                                       "--psi-sha256", server.psi(), "--format", "jsonl"], capture_output=True, text=True)
                self.assertEqual(json.loads(line.stdout)["name"], labels[0].name.decode())
                self.assertEqual((count.value, math.isnan(labels[0].probability), c.veilnet_client_warned(client)),
                                 (2, True, 0))
            finally:
                c.veilnet_free(plain.rgb)
                c.veilnet_client_close(client)
                server.stop()


class LeakGuard(unittest.TestCase):
    def test_plain_pictures_are_refused_and_protected_ones_are_not(self):
        with tempfile.TemporaryDirectory() as folder:
            models = pathlib.Path(folder, "models")
            (models / "m" / "1").mkdir(parents=True)
            psi = shutil.copy(PSI, models / "m" / "1" / "model.safetensors")
            record = pathlib.Path(folder, "guard.json")
            subprocess.run([VEILNET, "guard", "--model", H, "--psi", psi, "--source", "synthetic",
                            "--json", record], check=True, capture_output=True)
            measured = json.loads(record.read_text())
            self.assertLess(measured["false_alarm_rate"], 0.05)
            self.assertLess(measured["miss_rates"]["synthetic"], 0.05)
            for how, plain_status in (("refuse", 422), ("warn", 200), ("count", 200), ("off", 200)):
                server = Server(folder, "--guard", how, models=("--models", models))
                try:
                    photo = pathlib.Path(folder, "plain.png")
                    photo.write_bytes(png(bytes(BYTES)))
                    status, body, headers = server.post("/v2/models/m/classify", photo.read_bytes())
                    self.assertEqual(status, plain_status, body)
                    self.assertEqual(headers.get("Veilnet-Unprotected"), "1" if how == "warn" else None)
                    metrics = server.get("/metrics")[1].decode()
                    found = dict(re.findall(r"veilnet_guard_(\w+)_total\{.*\} (\d+)", metrics))
                    self.assertEqual(found, {"refused": "1" if how == "refuse" else "0",
                                             "doubted": "1" if how in ("warn", "count") else "0"})
                finally:
                    server.stop()


    def test_a_codebook_lets_its_own_pictures_pass_alone(self):
        with tempfile.TemporaryDirectory() as folder:
            book = pathlib.Path(folder, "book")
            book.mkdir()
            for code in range(2):
                (book / f"{code:05}.png").write_bytes(png(pixels(code)))
            (book / "codebook.json").write_text('{"bits": 1}')
            server = Server(folder, "--codebook", f"m={book}")
            try:
                self.assertEqual(json.loads(server.get("/v2/models/m")[1])["parameters"]["leak_guard"], "exact")
                self.assertEqual(server.post("/v2/models/m/classify", png(pixels(1)))[0], 200)
                other = bytearray(pixels(1))
                other[-1] ^= 1
                self.assertEqual(server.post("/v2/models/m/classify", png(bytes(other)))[0], 422)
                body, headers = binary_request(pixels(0) + bytes(other), 2)
                status, answer, _ = server.infer(body, headers)
                self.assertEqual(status, 422)
                self.assertIn(b"1 of 2 pictures", answer)
            finally:
                server.stop()
            done = subprocess.run([VEILNET, "serve", "--model", f"m={PSI}", "--codebook", f"x={book}", "--port", "0"],
                                  capture_output=True, text=True, timeout=60)
            self.assertEqual(done.returncode, 2, done)
            self.assertIn("not served", done.stderr)


if __name__ == "__main__":
    unittest.main()
