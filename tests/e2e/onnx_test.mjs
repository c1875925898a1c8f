// usage: node onnx_test.mjs WEB MODEL.onnx PICTURES HEIGHT WIDTH
// PICTURES: uint8 NHWC, one behind the other. Prints the output in float32, as ONNX Runtime computes
// it with WebAssembly; the packages are those of the folder WEB.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const [web, model, file, height, width] = process.argv.slice(2);
const ort = createRequire(web + "/")("onnxruntime-web");
ort.env.wasm.numThreads = 1;
const bytes = readFileSync(file);
const pixels = height * width;
const count = bytes.length / (3 * pixels);
const pictures = new Float32Array(bytes.length);
for (let i = 0; i < bytes.length; ++i) {
  const pixel = Math.floor(i / 3);
  const to = Math.floor(pixel / pixels) * 3 + (i % 3);
  pictures[to * pixels + (pixel % pixels)] = bytes[i] / 255;
}
const session = await ort.InferenceSession.create(readFileSync(model));
const feeds = { pictures: new ort.Tensor("float32", pictures, [count, 3, +height, +width]) };
const { data } = (await session.run(feeds))[session.outputNames[0]];
process.stdout.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength));
