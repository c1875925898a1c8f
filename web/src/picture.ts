// Pictures in memory: from what a browser can show to the size that h takes, computed as
// src/image/resize.cpp does it, so that page and command line protect the same picture alike.

/** 8-bit RGB, rows top to bottom, interleaved. */
export interface Picture {
  width: number;
  height: number;
  rgb: Uint8Array;
}

/** As of `veilnet protect`. */
const MAX_PIXELS = 64_000_000;
/** What every browser grants a canvas; larger pictures are halved, and halved again, on the way. */
const MAX_CANVAS_PIXELS = 16_000_000;

/** The pixels of a bitmap, on white where it is transparent. */
export function pixelsOf(source: CanvasImageSource, width: number, height: number): Picture {
  while (width * height > MAX_CANVAS_PIXELS) {
    width = Math.ceil(width / 2);
    height = Math.ceil(height / 2);
  }
  const canvas = document.createElement("canvas");
  canvas.width = width;
  canvas.height = height;
  const context = canvas.getContext("2d", { willReadFrequently: true });
  if (!context) throw new Error("this browser gives the page no canvas");
  context.fillStyle = "#fff";
  context.fillRect(0, 0, width, height);
  context.imageSmoothingQuality = "high";
  context.drawImage(source, 0, 0, width, height);
  const rgba = context.getImageData(0, 0, width, height).data;
  const rgb = new Uint8Array(width * height * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) {
    rgb[to++] = rgba[from]!;
    rgb[to++] = rgba[from + 1]!;
    rgb[to++] = rgba[from + 2]!;
  }
  return { width, height, rgb };
}

/** The picture of a file, turned as its Exif orientation says. */
export async function readPicture(file: Blob): Promise<Picture> {
  let bitmap: ImageBitmap;
  try {
    // Profiles are left aside, as on the command line.
    bitmap = await createImageBitmap(file, {
      imageOrientation: "from-image",
      premultiplyAlpha: "none",
      colorSpaceConversion: "none",
    });
  } catch {
    throw new Error("This file is no picture that the browser can read. Try a PNG, JPEG or WebP.");
  }
  try {
    if (bitmap.width * bitmap.height > MAX_PIXELS)
      throw new Error("This picture has more than 64 million pixels.");
    return pixelsOf(bitmap, bitmap.width, bitmap.height);
  } finally {
    bitmap.close();
  }
}

/** The inputs that one output averages. */
interface Taps {
  first: number;
  weights: Float32Array;
}

function makeTaps(input: number, count: number, begin: number, step: number): Taps[] {
  const all: Taps[] = [];
  for (let i = 0; i < count; ++i) {
    if (step > 1) {
      // Shrinking: each input weighs as much as it overlaps the output's interval.
      const low = begin + i * step,
        high = low + step;
      const first = Math.min(Math.max(Math.trunc(low), 0), input - 1);
      const last = Math.min(Math.max(Math.ceil(high), first + 1), input);
      const weights = new Float32Array(last - first);
      let sum = 0;
      for (let k = first; k < last; ++k) {
        const overlap = Math.max(0, Math.min(high, k + 1) - Math.max(low, k));
        weights[k - first] = overlap;
        sum += overlap;
      }
      for (let k = 0; k < weights.length; ++k) weights[k] = weights[k]! / sum;
      all.push({ first, weights });
    } else {
      // Growing: between the two nearest pixel centres; the border repeats.
      const centre = Math.min(Math.max(begin + (i + 0.5) * step - 0.5, 0), input - 1);
      const first = Math.trunc(centre),
        right = centre - first;
      all.push({ first, weights: Float32Array.from(right > 0 ? [1 - right, right] : [1]) });
    }
  }
  return all;
}

/** Scaled until it covers width x height, then centre cropped; rounded once, at the end. */
export function fit(picture: Picture, width: number, height: number): Picture {
  const scale = Math.max(height / picture.height, width / picture.width);
  const axis = (input: number, count: number): Taps[] => {
    const scaled = Math.max(count, Math.round(input * scale));
    const step = input / scaled;
    return makeTaps(input, count, Math.trunc((scaled - count) / 2) * step, step);
  };
  const rows = axis(picture.height, height),
    columns = axis(picture.width, width);
  const lastTaps = rows[rows.length - 1]!;
  const firstRow = rows[0]!.first,
    lastRow = lastTaps.first + lastTaps.weights.length;
  const stride = width * 3;

  // Math.fround keeps to the 32-bit arithmetic of the C++ program.
  const { fround } = Math;
  const narrow = new Float32Array((lastRow - firstRow) * stride);
  for (let y = firstRow; y < lastRow; ++y) {
    let out = (y - firstRow) * stride;
    for (const { first, weights } of columns) {
      let at = (y * picture.width + first) * 3;
      let r = 0,
        g = 0,
        b = 0;
      for (const weight of weights) {
        r = fround(r + fround(weight * picture.rgb[at++]!));
        g = fround(g + fround(weight * picture.rgb[at++]!));
        b = fround(b + fround(weight * picture.rgb[at++]!));
      }
      narrow[out++] = r;
      narrow[out++] = g;
      narrow[out++] = b;
    }
  }

  const rgb = new Uint8Array(height * stride);
  const line = new Float32Array(stride);
  rows.forEach(({ first, weights }, y) => {
    line.fill(0);
    let from = (first - firstRow) * stride;
    for (const weight of weights)
      for (let i = 0; i < stride; ++i)
        line[i] = fround(line[i]! + fround(weight * narrow[from++]!));
    for (let i = 0; i < stride; ++i)
      rgb[y * stride + i] = Math.trunc(Math.min(Math.max(fround(line[i]! + 0.5), 0), 255));
  });
  return { width, height, rgb };
}

/** Draws the picture, pixel by pixel, as the canvas's whole content. */
export function show(canvas: HTMLCanvasElement, { width, height, rgb }: Picture): void {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height);
  for (let from = 0, to = 0; from < rgb.length; to += 4) {
    image.data[to] = rgb[from++]!;
    image.data[to + 1] = rgb[from++]!;
    image.data[to + 2] = rgb[from++]!;
    image.data[to + 3] = 255;
  }
  canvas.getContext("2d")!.putImageData(image, 0, 0);
}

/** Of two pictures of one size. */
export function psnrDb(a: Picture, b: Picture): number {
  let sum = 0;
  for (let i = 0; i < a.rgb.length; ++i) sum += (a.rgb[i]! - b.rgb[i]!) ** 2;
  return 10 * Math.log10((255 ** 2 * a.rgb.length) / sum);
}
