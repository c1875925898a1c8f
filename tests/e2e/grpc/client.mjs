// A client that is not ours, @grpc/grpc-js with the published proto file, against a server that
// runs. What it was answered goes to standard output as JSON, for grpc_test.py to look at.
//
// usage: node client.mjs PROTO JSON, of {"address", "key"?, "ca"?, "pixels" (base64), "count"}
import { readFileSync } from "node:fs";
import grpc from "@grpc/grpc-js";
import loader from "@grpc/proto-loader";

const [proto, given] = process.argv.slice(2);
const { address, key, ca, pixels, count } = JSON.parse(given);
const definition = loader.loadSync(proto, { keepCase: true, longs: Number });
const { GRPCInferenceService } = grpc.loadPackageDefinition(definition).inference;
const credentials = ca ? grpc.credentials.createSsl(readFileSync(ca)) : grpc.credentials.createInsecure();
const client = new GRPCInferenceService(address, credentials);

const metadata = new grpc.Metadata();
if (key) metadata.set("authorization", `Bearer ${key}`);

/** The answer, or the code and text of the refusal. */
const ask = (method, request, { deadlineMs = 30000, cancelAfterMs } = {}) =>
  new Promise((resolve) => {
    const call = client[method](request, metadata, { deadline: Date.now() + deadlineMs }, (error, answer) =>
      resolve(error ? { code: grpc.status[error.code], text: error.details } : answer));
    if (cancelAfterMs) setTimeout(() => call.cancel(), cancelAfterMs);
  });

const bytes = Buffer.from(pixels, "base64");
const input = { name: "images", datatype: "UINT8", shape: [count, 32, 32, 3] };
const request = { model_name: "m", id: "js", inputs: [input], raw_input_contents: [bytes] };
const typed = { ...request, raw_input_contents: [], inputs: [{ ...input, contents: { uint_contents: [...bytes] } }] };
const names = (answer) => answer.outputs.map((output) => output.name);
const binary = await ask("ModelInfer", request);
const written = await ask("ModelInfer", typed);

console.log(JSON.stringify({
  live: await ask("ServerLive", {}),
  ready: await ask("ServerReady", {}),
  server: await ask("ServerMetadata", {}),
  model: await ask("ModelMetadata", { name: "m" }),
  model_ready: await ask("ModelReady", { name: "m", version: "1" }),
  index: await ask("RepositoryIndex", {}),
  load: await ask("RepositoryModelLoad", { model_name: "m" }),
  raw: binary.code ? binary : {
    id: binary.id, names: names(binary),
    labels: [...Array(count).keys()].map((i) => Number(binary.raw_output_contents[0].readBigInt64LE(8 * i))),
  },
  typed: written.code ? written : {
    names: names(written), labels: written.outputs[0].contents.int64_contents,
    class_names: written.outputs[1].contents.bytes_contents.map((name) => name.toString()),
  },
  no_model: await ask("ModelInfer", { ...request, model_name: "x" }),
  malformed: await ask("ModelInfer", { ...request, raw_input_contents: [bytes.subarray(1)] }),
  too_large: await ask("ModelInfer", { ...request, raw_input_contents: [Buffer.alloc(70000)] }),
  late: await ask("ModelInfer", request, { deadlineMs: 1 }),
  cancelled: await ask("ModelInfer", request, { cancelAfterMs: 1 }),
}));
client.close();
