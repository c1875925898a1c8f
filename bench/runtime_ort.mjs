// ONNX Runtime's side of bench/runtime.py: seconds a batch, and how far it is from the stored output.
// usage: node runtime_ort.mjs NODE_MODULES MODEL.onnx STORED.safetensors BATCH SECONDS
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { cpus } from 'node:os'
import { performance } from 'node:perf_hooks'

const [modules, model, stored, batch, seconds] = process.argv.slice(2)
const ort = createRequire(modules + '/')('onnxruntime-node')

const file = readFileSync(stored)
const header = Number(file.readBigUInt64LE(0))
const tensors = JSON.parse(file.subarray(8, 8 + header).toString())
function first(name, count) {
  const { shape, data_offsets: [begin, end] } = tensors[name]
  const bytes = file.subarray(8 + header + begin, 8 + header + end)
  const all = new Float32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length))
  return { dims: [count, ...shape.slice(1)], values: all.subarray(0, all.length / shape[0] * count) }
}

const count = Number(batch)
const session = await ort.InferenceSession.create(model, { intraOpNumThreads: cpus().length })
const { dims, values } = first('pictures', count)
const feeds = { [session.inputNames[0]]: new ort.Tensor('float32', values, dims) }
const run = async () => (await session.run(feeds))[session.outputNames[0]].data

const expected = first('output', count).values
const got = await run()
let difference = 0, largest = 0
for (let i = 0; i < expected.length; ++i) {
  difference = Math.max(difference, Math.abs(got[i] - expected[i]))
  largest = Math.max(largest, Math.abs(expected[i]))
}
for (let i = 0; i < 3; ++i) await run()
const times = []
for (let total = 0; total < Number(seconds) || times.length < 3; total += times.at(-1)) {
  const begin = performance.now()
  await run()
  times.push((performance.now() - begin) / 1000)
}
times.sort((a, b) => a - b)
console.log(JSON.stringify({ ort: times[times.length >> 1], ort_max_error: difference / largest,
  version: createRequire(modules + '/')('onnxruntime-node/package.json').version }))
