// The page in a real Chromium, before a real server: what it sends, what it shows, what it may not.
//
// usage: node page_test.mjs VEILNET WEB_FOLDER CHROMIUM
//
// Between the two stands a recorder, which keeps every request as it came off the wire.
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import fs from "node:fs";
import http from "node:http";
import os from "node:os";
import path from "node:path";
import test, { after, before } from "node:test";
import zlib from "node:zlib";
import { chromium } from "playwright-core";

const [veilnet, web, chromiumPath] = process.argv.slice(2);
const root = path.resolve(
  import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname),
  "../..",
);
const models = JSON.parse(fs.readFileSync(path.join(web, "models/models.json")));
const modelFile = (name) => path.join(root, "models", `${name}.safetensors`);
const psiPath = `/v2/models/${models.classifier.name}`;

const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const folder = fs.mkdtempSync(path.join(os.tmpdir(), "veilnet-web-"));
const stops = [];

// --- PNG ----------------------------------------------------------------------------------------

function encodePng(width, height, pixelAt) {
  const chunk = (kind, data) => {
    const body = Buffer.concat([Buffer.from(kind, "latin1"), data]);
    const bytes = Buffer.alloc(body.length + 8);
    bytes.writeUInt32BE(data.length);
    body.copy(bytes, 4);
    bytes.writeUInt32BE(crc32(body), body.length + 4);
    return bytes;
  };
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width);
  header.writeUInt32BE(height, 4);
  header.set([8, 2], 8);
  const rows = [];
  for (let y = 0; y < height; ++y) {
    rows.push(0);
    for (let x = 0; x < width; ++x) rows.push(...pixelAt(x, y));
  }
  return Buffer.concat([
    Buffer.from("\x89PNG\r\n\x1a\n", "latin1"),
    chunk("IHDR", header),
    chunk("IDAT", zlib.deflateSync(Buffer.from(rows))),
    chunk("IEND", Buffer.alloc(0)),
  ]);
}

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let k = 0; k < 8; ++k) crc = crc & 1 ? 0xedb88320 ^ (crc >>> 1) : crc >>> 1;
  }
  return ~crc >>> 0;
}

/** Of an 8-bit RGB PNG: its size, its pixels, and the kinds of its chunks. Nothing may follow. */
function decodePng(bytes) {
  assert.equal(bytes.toString("latin1", 0, 8), "\x89PNG\r\n\x1a\n");
  const kinds = [],
    data = [];
  let at = 8,
    header;
  while (at < bytes.length) {
    const size = bytes.readUInt32BE(at),
      kind = bytes.toString("latin1", at + 4, at + 8);
    const body = bytes.subarray(at + 8, at + 8 + size);
    assert.equal(bytes.readUInt32BE(at + 8 + size), crc32(bytes.subarray(at + 4, at + 8 + size)));
    kinds.push(kind);
    if (kind === "IHDR") header = body;
    if (kind === "IDAT") data.push(body);
    at += size + 12;
  }
  const width = header.readUInt32BE(0),
    height = header.readUInt32BE(4);
  assert.deepEqual([...header.subarray(8)], [8, 2, 0, 0, 0]);
  const rows = zlib.inflateSync(Buffer.concat(data));
  const stride = width * 3;
  assert.equal(rows.length, height * (stride + 1));
  const rgb = Buffer.alloc(height * stride);
  for (let y = 0; y < height; ++y)
    for (let i = 0; i < stride; ++i) {
      const a = i >= 3 ? rgb[y * stride + i - 3] : 0,
        b = y > 0 ? rgb[(y - 1) * stride + i] : 0;
      const c = i >= 3 && y > 0 ? rgb[(y - 1) * stride + i - 3] : 0;
      const nearest = [a, b, c].map((v) => Math.abs(a + b - c - v));
      const paeth =
        nearest[0] <= nearest[1] && nearest[0] <= nearest[2] ? a : nearest[1] <= nearest[2] ? b : c;
      const filter = rows[y * (stride + 1)];
      rgb[y * stride + i] = rows[y * (stride + 1) + 1 + i] + [0, a, b, (a + b) >> 1, paeth][filter];
    }
  return { width, height, rgb, kinds };
}

const largestDifference = (a, b) => a.reduce((most, v, i) => Math.max(most, Math.abs(v - b[i])), 0);

/** A smooth picture with an edge in it, different for each seed. */
const drawing = (seed, width, height) =>
  encodePng(width, height, (x, y) => {
    const u = x / width,
      v = y / height,
      disc = (u - 0.5) ** 2 + (v - 0.45) ** 2 < 0.06 + 0.01 * (seed % 5);
    return disc
      ? [200 - 20 * (seed % 7), 60 + 15 * (seed % 9), 40 + 99 * u]
      : [90 + 80 * v, 140 + 60 * u, 210 - 100 * v].map((c) => Math.round(c));
  });

// --- server, recorder, browser ------------------------------------------------------------------

/** Starts `veilnet serve` with the page and gives its port. */
async function serve(options = [], headers = {}) {
  const portFile = path.join(folder, `port-${stops.length}`);
  const server = spawn(
    veilnet,
    [
      "serve",
      "--model",
      modelFile(models.classifier.name),
      "--web",
      web,
      "--port",
      "0",
      "--port-file",
      portFile,
      ...options,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let errors = "";
  server.stderr.on("data", (text) => (errors += text));
  stops.push(async () => {
    const ended = once(server, "exit");
    server.kill("SIGTERM");
    assert.deepEqual(await ended, [0, null], errors);
  });
  for (let i = 0; i < 600 && !fs.existsSync(portFile); ++i) {
    assert.equal(server.exitCode, null, errors);
    await sleep(50);
  }
  const port = Number(fs.readFileSync(portFile, "utf8"));
  for (let i = 0; i < 600; ++i) {
    if ((await fetch(`http://127.0.0.1:${port}${psiPath}/ready`, { headers })).ok) return port;
    await sleep(50);
  }
  throw new Error(`the server is not ready: ${errors}`);
}

/** Passes requests on and keeps them. `change` may answer in the server's place. */
async function record(port, change = () => null, strip = []) {
  const requests = [];
  const recorder = http.createServer(async (request, response) => {
    const parts = [];
    for await (const part of request) parts.push(part);
    const body = Buffer.concat(parts);
    requests.push({ method: request.method, url: request.url, headers: request.rawHeaders, body });
    const own = change(request);
    if (own)
      return response
        .writeHead(own.status, { "Content-Type": "application/json" })
        .end(JSON.stringify(own.body));
    const onward = http.request(
      {
        port,
        host: "127.0.0.1",
        method: request.method,
        path: request.url,
        headers: request.headers,
      },
      (answer) => {
        for (const name of strip) delete answer.headers[name];
        response.writeHead(answer.statusCode, answer.headers);
        answer.pipe(response);
      },
    );
    onward.on("error", () => response.destroy());
    onward.end(body);
  });
  recorder.listen(0, "127.0.0.1");
  await once(recorder, "listening");
  stops.push(() => {
    recorder.closeAllConnections();
    recorder.close();
  });
  return { requests, origin: `http://127.0.0.1:${recorder.address().port}` };
}

let browser, port;

before(async () => {
  port = await serve();
  browser = await chromium.launch({
    executablePath: chromiumPath,
    // Root, as in containers, gets no sandbox; no name but the server's address leads anywhere.
    args: [
      "--no-sandbox",
      "--use-fake-device-for-media-stream",
      "--use-fake-ui-for-media-stream",
      "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
    ],
  });
});
after(async () => {
  await browser?.close();
  for (const stop of stops.reverse()) await stop();
  fs.rmSync(folder, { recursive: true });
});

async function open(origin, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = { urls: [], sockets: 0, problems: [], blobs: new Map() };
  context.on("request", (request) => seen.urls.push(request.url()));
  page.on("websocket", () => ++seen.sockets);
  page.on("pageerror", (error) => seen.problems.push(error.message));
  page.on("response", (response) => {
    if (!response.url().startsWith("blob:")) return;
    const body = response.body();
    body.catch(() => {}); // the page may be closed by then
    seen.blobs.set(response.url(), body);
  });
  page.on("console", (message) => message.type() === "error" && seen.problems.push(message.text()));
  await page.goto(`${origin}/`);
  return { page, seen, close: () => context.close() };
}

/** Until what `act` began is over. */
async function finished(page, act) {
  await page.evaluate(() => delete document.body.dataset.state);
  await act();
  for (let i = 0; i < 600; ++i) {
    if ((await page.evaluate(() => document.body.dataset.state)) === "done") return;
    await sleep(50);
  }
  throw new Error("the page did not finish");
}

const upload = (page, name, buffer, mimeType = "image/png") =>
  finished(page, () => page.setInputFiles("#file", { name, mimeType, buffer }));

/** The pixels that an element of the page shows. */
const shown = async (page, selector) =>
  Buffer.from(
    await page.evaluate(async (selector) => {
      const element = document.querySelector(selector);
      await element.decode?.();
      const canvas = document.createElement("canvas");
      canvas.width = element.naturalWidth ?? element.width;
      canvas.height = element.naturalHeight ?? element.height;
      const context = canvas.getContext("2d");
      context.drawImage(element, 0, 0);
      return [...context.getImageData(0, 0, canvas.width, canvas.height).data].filter(
        (_, i) => i % 4 !== 3,
      );
    }, selector),
  );

const errorOf = (page) =>
  page.evaluate(() => {
    const error = document.getElementById("error");
    return error.hidden ? "" : error.textContent;
  });

// --- what it sends ------------------------------------------------------------------------------

test("what leaves the page is the protected picture's PNG, and nothing else", async () => {
  const { requests, origin } = await record(port);
  const { page, seen, close } = await open(origin);
  const acts = [
    ...[...Array(await page.locator("#samples button").count()).keys()].map(
      (i) => () => finished(page, () => page.locator("#samples button").nth(i).click()),
    ),
    () => upload(page, "private-name.png", drawing(1, 32, 32)),
    () => upload(page, "private-name.png", drawing(2, 333, 250)),
    () =>
      finished(page, async () => {
        const transfer = await page.evaluateHandle(
          (bytes) => {
            const data = new DataTransfer();
            data.items.add(new File([new Uint8Array(bytes)], "private-name.png"));
            return data;
          },
          [...drawing(3, 40, 30)],
        );
        await page.dispatchEvent("#drop", "drop", { dataTransfer: transfer });
      }),
    () =>
      finished(page, async () => {
        await page.click("#camera");
        await page.waitForSelector("#viewfinder:not([hidden])");
        for (
          let i = 0;
          i < 100 && !(await page.evaluate(() => document.querySelector("video").videoWidth));
          ++i
        )
          await sleep(50);
        await page.click("#take");
      }),
  ];
  assert.ok(acts.length >= 9);
  for (const act of acts) {
    const before = requests.length;
    await act();
    assert.equal(await errorOf(page), "");
    const sent = requests.slice(before).filter((r) => r.body.length > 0);
    assert.equal(sent.length, 1, "one body for one picture");
    assert.equal(sent[0].method, "POST");
    assert.equal(sent[0].url, `${psiPath}/classify`);
    // The picture, the whole picture and nothing but the picture.
    const png = decodePng(sent[0].body);
    assert.deepEqual(png.kinds, ["IHDR", "IDAT", "IEND"]);
    assert.deepEqual(png.rgb, await shown(page, "#protected"));
    const bytes = await seen.blobs.get(await page.getAttribute("#protected", "src"));
    assert.deepEqual(bytes, sent[0].body, "shown and sent are the same bytes");
    const plain = await shown(page, "#plain");
    assert.equal(plain.length, png.rgb.length);
    const mse = plain.reduce((sum, v, i) => sum + (v - png.rgb[i]) ** 2, 0) / plain.length;
    assert.ok(
      mse > 55 ** 2,
      `the sent picture is not the plain one (root of mean squared difference ${mse ** 0.5})`,
    );
    assert.notEqual(await page.textContent("#label"), "–");
    assert.match(await page.textContent("#confidence"), /not sent/);
    assert.equal(await page.locator("#times tr").count(), 5);
    assert.notDeepEqual(await shown(page, "#rebuilt"), plain);
  }
  assert.equal(requests.filter((r) => r.body.length > 0).length, acts.length);
  for (const { method, url, headers, body } of requests) {
    const names = headers.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase());
    for (const name of ["cookie", "authorization", "referer"])
      assert.ok(!names.includes(name), name);
    assert.ok(!(url + headers.join() + body.toString("latin1")).includes("private-name"));
    if (method === "POST") continue;
    assert.equal(method, "GET");
    assert.match(url, new RegExp(`^/(|assets/[\\w.-]+|models/[\\w.-]+|${psiPath.slice(1)})$`));
  }
  // Chromium tells of no request to anywhere else.
  for (const url of seen.urls)
    assert.ok(url.startsWith(`${origin}/`) || url.startsWith(`blob:${origin}/`), url);
  assert.equal(seen.sockets, 0);
  assert.deepEqual(seen.problems, []);
  await close();
});

test("the page protects as `veilnet protect` does", async (t) => {
  const { requests, origin } = await record(port);
  const { page, close } = await open(origin);
  const h = modelFile(models.transform.name);
  let most = 0,
    compared = 0,
    differing = 0,
    bytes = 0;
  const pictures = [
    [32, 32],
    [32, 32],
    [33, 47],
    [20, 11],
    [333, 250],
    [1024, 700],
    [640, 1000],
  ].map(([width, height], i) => drawing(i, width, height));
  for (const [id, type] of [
    ["ship", "png"],
    ["bird", "png"],
    ["car", "jpeg"],
    ["frog", "webp"],
  ]) {
    const canvas = page.locator("#samples button", { hasText: id }).locator("canvas");
    const url = await canvas.evaluate((c, type) => c.toDataURL(`image/${type}`, 0.9), type);
    assert.ok(url.startsWith(`data:image/${type}`));
    pictures.push(Buffer.from(url.split(",")[1], "base64"));
  }
  for (const picture of pictures) {
    // The command decodes a JPEG this large at half its size; browsers decode it whole.
    const halved = picture[0] === 0xff;
    await upload(page, "a.png", picture);
    assert.equal(await errorOf(page), "");
    fs.writeFileSync(path.join(folder, "plain.png"), picture);
    execFileSync(veilnet, [
      "protect",
      path.join(folder, "plain.png"),
      "--model",
      h,
      "-o",
      path.join(folder, "protected.png"),
      "--force",
      "--quiet",
    ]);
    const theirs = decodePng(fs.readFileSync(path.join(folder, "protected.png")));
    const ours = decodePng(requests.filter((r) => r.method === "POST").at(-1).body);
    assert.deepEqual([ours.width, ours.height], [theirs.width, theirs.height]);
    const difference = largestDifference(ours.rgb, theirs.rgb);
    if (halved) {
      assert.ok(difference <= 8);
      t.diagnostic(`a JPEG that the command decodes at half its size: ${difference} levels`);
      continue;
    }
    most = Math.max(most, difference);
    compared += 1;
    differing += ours.rgb.reduce((count, v, i) => count + (v !== theirs.rgb[i]), 0);
    bytes += ours.rgb.length;
  }
  t.diagnostic(
    `${compared} pictures: largest difference ${most} of 255 levels; ` +
      `${differing} of ${bytes} values differ`,
  );
  assert.ok(most <= 1);
  assert.ok(differing <= bytes / 1000);
  await close();
});

// --- what it refuses, and what it says ----------------------------------------------------------

test("the policy lets the page reach no other server and run no foreign code", async () => {
  const other = { reached: 0 };
  const foreign = http.createServer((_, response) => {
    ++other.reached;
    response
      .writeHead(200, {
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
      })
      .end();
  });
  foreign.on("upgrade", (_, socket) => {
    ++other.reached;
    socket.destroy();
  });
  foreign.listen(0, "127.0.0.1");
  await once(foreign, "listening");
  stops.push(() => foreign.close());
  const target = `127.0.0.1:${foreign.address().port}`;
  assert.ok((await fetch(`http://${target}`)).ok);
  other.reached = 0;

  const { page, close } = await open(`http://127.0.0.1:${port}`);
  const blocked = await page.evaluate(async (target) => {
    const violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      violations.push(event.effectiveDirective),
    );
    const failed = [];
    await fetch(`http://${target}/`, { method: "POST", body: "x" }).catch(() =>
      failed.push("fetch"),
    );
    navigator.sendBeacon(`http://${target}/`, "x");
    try {
      new WebSocket(`ws://${target}/`);
    } catch {
      failed.push("socket");
    }
    const loaded = (make) =>
      new Promise((done) => {
        const element = make();
        element.onload = () => done(true);
        element.onerror = () => done(false);
        document.body.append(element);
      });
    const image = () => Object.assign(new Image(), { src: `http://${target}/a.png` });
    const script = () =>
      Object.assign(document.createElement("script"), { src: `http://${target}/a.js` });
    if (!(await loaded(image))) failed.push("image");
    if (!(await loaded(script))) failed.push("script");
    const inline = document.createElement("script");
    inline.textContent = "window.ran = true";
    document.body.append(inline);
    if (!window.ran) failed.push("inline");
    const form = document.createElement("form");
    Object.assign(form, { action: `http://${target}/`, method: "post" });
    document.body.append(form);
    form.submit();
    await new Promise((done) => setTimeout(done, 500));
    return { failed, violations };
  }, target);
  assert.deepEqual(
    blocked.failed.filter((what) => what !== "socket"),
    ["fetch", "image", "script", "inline"],
  );
  for (const directive of ["connect-src", "img-src", "script-src-elem", "form-action"])
    assert.ok(blocked.violations.includes(directive), `${directive} of ${blocked.violations}`);
  assert.ok(
    blocked.violations.filter((d) => d === "connect-src").length >= 3,
    "fetch, beacon and socket",
  );
  assert.equal(other.reached, 0);
  assert.equal(await page.evaluate(() => crossOriginIsolated), true);
  await close();
});

test("a server with another psi is sent nothing", async () => {
  const { requests, origin } = await record(port, (request) =>
    request.url === psiPath
      ? { status: 200, body: { parameters: { content_sha256: "0".repeat(64) } } }
      : null,
  );
  const { page, close } = await open(origin);
  await upload(page, "a.png", drawing(1, 32, 32));
  assert.match(await errorOf(page), /Nothing will be sent/);
  assert.equal(requests.filter((r) => r.method !== "GET").length, 0);
  await close();
});

test("it works without threads, where a proxy drops what isolates the page", async () => {
  const { origin } = await record(port, undefined, ["cross-origin-embedder-policy"]);
  const { page, seen, close } = await open(origin);
  assert.equal(await page.evaluate(() => crossOriginIsolated), false);
  await finished(page, () => page.locator("#samples button").first().click());
  assert.equal(await errorOf(page), "");
  assert.equal(await page.textContent("#label"), "ship");
  assert.match(await page.textContent("#model"), /1 thread of/);
  assert.deepEqual(seen.problems, []);
  await close();
});

test("refusals and bad files are told", async () => {
  const { requests, origin } = await record(port, (request) =>
    request.method === "POST" ? { status: 503, body: { error: "the queue is full" } } : null,
  );
  const { page, close } = await open(origin);
  await upload(page, "a.png", drawing(1, 32, 32));
  assert.match(await errorOf(page), /the queue is full/);
  const before = requests.length;
  await upload(page, "a.png", Buffer.from("no picture"));
  assert.match(await errorOf(page), /no picture that the browser can read/);
  assert.equal(requests.length, before);
  await close();
});

test("a server that asks for a key gets the one that is typed, and nobody else does", async () => {
  const keys = path.join(folder, "keys");
  const key = execFileSync(veilnet, ["apikey", "alice", "--keys", keys], {
    encoding: "utf8",
  }).trim();
  const asking = await serve(["--keys", keys], { Authorization: `Bearer ${key}` });
  const { requests, origin } = await record(asking);
  const { page, close } = await open(origin);
  for (const typed of ["alice.wrong", key]) {
    await page.waitForSelector("#key-form:not([hidden])");
    await upload(page, "a.png", drawing(1, 32, 32));
    assert.match(await errorOf(page), /key/);
    assert.equal(requests.filter((r) => r.method === "POST").length, 0);
    await page.fill("#key", typed);
    await page.press("#key", "Enter");
  }
  await upload(page, "a.png", drawing(1, 32, 32));
  assert.equal(await errorOf(page), "");
  assert.equal(await page.isVisible("#key-form"), false);
  for (const { url, headers } of requests)
    if (headers.includes(`Bearer ${key}`)) assert.ok(url.startsWith(psiPath), url);
  assert.ok(requests.at(-1).headers.includes(`Bearer ${key}`));
  await close();
});

test("a server that tells scores is quoted", async () => {
  const telling = await serve(["--score-digits", "3"]);
  const { page, close } = await open(`http://127.0.0.1:${telling}`);
  await finished(page, () => page.locator("#samples button").first().click());
  assert.match(await page.textContent("#confidence"), /^\d+\.\d %$/);
  await close();
});

// --- for everybody ------------------------------------------------------------------------------

test("it works by keyboard, on a phone, in the dark", async () => {
  for (const colorScheme of ["light", "dark"]) {
    const { page, seen, close } = await open(`http://127.0.0.1:${port}`, {
      viewport: { width: 320, height: 640 },
      colorScheme,
      reducedMotion: "reduce",
      hasTouch: true,
    });
    const reached = [];
    await finished(page, async () => {
      for (let i = 0; i < 4; ++i) {
        await page.keyboard.press("Tab");
        reached.push(await page.evaluate(() => document.activeElement.textContent.trim()));
        assert.notEqual(
          await page.evaluate(() => getComputedStyle(document.activeElement).outlineStyle),
          "none",
        );
      }
      await page.keyboard.press("Enter");
    });
    assert.deepEqual(reached.slice(0, 3), ["Choose a file…", "Use the camera", "ship"]);
    assert.equal(
      await page.getAttribute("#samples li:nth-child(2) button", "aria-pressed"),
      "true",
    );
    const page_ = await page.evaluate(() => {
      const luminance = (colour) => {
        const [r, g, b] = colour
          .match(/[\d.]+/g)
          .map((v) => v / 255)
          .map((v) => (v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
      };
      const ground = (element) => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour === "rgba(0, 0, 0, 0)" ? ground(element.parentElement) : colour;
      };
      const low = [];
      for (const element of document.querySelectorAll(
        "h1, h2, p, span, dt, dd, td, th, caption, li, button, b",
      )) {
        if (!element.textContent.trim() || !element.checkVisibility()) continue;
        const [a, b] = [luminance(getComputedStyle(element).color), luminance(ground(element))];
        const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
        if (contrast < 4.5)
          low.push(
            `${element.tagName} ${element.textContent.trim().slice(0, 30)}: ${contrast.toFixed(2)}`,
          );
      }
      const moving = [...document.querySelectorAll("*")].filter((e) => {
        const style = getComputedStyle(e);
        return style.animationName !== "none" || !/^0s(, 0s)*$/.test(style.transitionDuration);
      });
      const small = [...document.querySelectorAll("button")].filter(
        (e) => e.checkVisibility() && e.offsetHeight < 44,
      );
      return {
        low,
        width: document.documentElement.scrollWidth,
        moving: moving.length,
        small: small.length,
        lang: document.documentElement.lang,
        dark: luminance(getComputedStyle(document.body).backgroundColor) < 0.1,
      };
    });
    assert.deepEqual(page_, {
      low: [],
      width: 320,
      moving: 0,
      small: 0,
      lang: "en",
      dark: colorScheme === "dark",
    });
    for (const [selector, word] of [
      ["#plain", "airplane"],
      ["#rebuilt", "rebuilt"],
    ])
      assert.match(await page.getAttribute(selector, "aria-label"), new RegExp(word));
    assert.match(await page.getAttribute("#protected", "alt"), /protected/);
    assert.deepEqual(seen.problems, []);
    await close();
  }
});
