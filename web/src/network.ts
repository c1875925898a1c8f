// Networks that `veilnet export` wrote, computed in the page.
import * as ort from "onnxruntime-web/wasm";
import loaderUrl from "onnxruntime-web/ort-wasm-simd-threaded.mjs?url";
import wasmUrl from "onnxruntime-web/ort-wasm-simd-threaded.wasm?url";
import type { Picture } from "./picture";

const MAX_THREADS = 4;

// Threads need memory that they share, which browsers grant to isolated pages only.
export const threads = crossOriginIsolated
  ? Math.min(navigator.hardwareConcurrency, MAX_THREADS)
  : 1;

ort.env.wasm.numThreads = threads;
ort.env.wasm.wasmPaths = {
  mjs: new URL(loaderUrl, document.baseURI).href,
  wasm: new URL(wasmUrl, document.baseURI).href,
};

function roundHalfToEven(x: number): number {
  const down = Math.floor(x),
    rest = x - down;
  return rest > 0.5 || (rest === 0.5 && down % 2 === 1) ? down + 1 : down;
}

/** From pictures of one size to pictures of that size: h, or an attacker's inverse of it. */
export class Network {
  private constructor(private readonly session: ort.InferenceSession) {}

  static async load(url: string): Promise<Network> {
    const answer = await fetch(url);
    if (!answer.ok) throw new Error(`The network ${url} is not there (${answer.status}).`);
    return new Network(await ort.InferenceSession.create(await answer.arrayBuffer()));
  }

  async run(picture: Picture): Promise<Picture> {
    const { width, height, rgb } = picture;
    const plane = width * height;
    const input = new Float32Array(rgb.length);
    for (let i = 0; i < plane; ++i)
      for (let c = 0; c < 3; ++c) input[c * plane + i] = rgb[i * 3 + c]! / 255;
    const feeds = {
      [this.session.inputNames[0]!]: new ort.Tensor("float32", input, [1, 3, height, width]),
    };
    const output = (await this.session.run(feeds))[this.session.outputNames[0]!]!
      .data as Float32Array;
    const made = new Uint8Array(rgb.length);
    for (let i = 0; i < plane; ++i)
      for (let c = 0; c < 3; ++c)
        made[i * 3 + c] = roundHalfToEven(Math.fround(output[c * plane + i]! * 255));
    return { width, height, rgb: made };
  }
}
