// The page: a picture in, protected, sent, named; and what an attacker makes of what was sent.
import { Network, threads } from "./network";
import { type Picture, fit, pixelsOf, psnrDb, readPicture, show } from "./picture";
import { encodePng } from "./png";
import { drawSamples } from "./samples";
import { KeyNeeded, type Models, classify, isRightServer, readModels, setKey } from "./server";

function element<T extends HTMLElement>(id: string, kind: new () => T): T {
  const found = document.getElementById(id);
  if (!(found instanceof kind)) throw new Error(`the page has no ${id}`);
  return found;
}

const status = element("status", HTMLParagraphElement);
const error = element("error", HTMLParagraphElement);
const plain = element("plain", HTMLCanvasElement);
const shielded = element("protected", HTMLImageElement);
const rebuilt = element("rebuilt", HTMLCanvasElement);
const rebuiltNote = element("rebuilt-note", HTMLSpanElement);
const attack = element("attack", HTMLElement);
const label = element("label", HTMLElement);
const confidence = element("confidence", HTMLElement);
const bytes = element("bytes", HTMLElement);
const times = element("times", HTMLTableSectionElement);

interface Ready {
  models: Models;
  h: Network;
  inverse: Network | null;
}

const REBUILT = "rebuilt from the protected one by an inverse network trained against this h";

const percent = (share: number) => `${(100 * share).toFixed(1)} %`;

/** What the figures say, in sentences. */
function say({ transform, inverse }: Models): void {
  const lines: string[] = [];
  const { accuracy, plain_accuracy: plainAccuracy, no_attack_above_db: bound } = transform.figures;
  if (accuracy !== undefined && plainAccuracy !== undefined)
    lines.push(
      `The server names ${percent(accuracy)} of protected test pictures rightly, and ` +
        `${percent(plainAccuracy)} of plain ones. What the picture shows, it learns: ` +
        "that is the service.",
    );
  if (transform.bits > 0)
    lines.push(
      `There is a bound: at most 2^${transform.bits} different protected pictures exist` +
        (bound === undefined
          ? "."
          : ", and no attack, whatever it computes, comes above " +
            `${bound.toFixed(1)} dB on average.`),
    );
  else
    lines.push(
      "No bound; measured only. That the attacks we tried recover little does not mean " +
        "that every attack does.",
    );
  const { itn_ssim: ssim, itn_psnr_db: psnr } = inverse?.figures ?? {};
  if (ssim !== undefined && psnr !== undefined)
    lines.push(
      `The inverse network shown here comes to ${psnr.toFixed(1)} dB and an SSIM of ` +
        `${ssim.toFixed(2)} on average over the test pictures (SSIM 1 would be the picture ` +
        "itself). Who trains longer gets more.",
    );
  lines.push(
    "Whoever has this h and a number of candidate pictures can run h on each and see which " +
      "one was sent.",
  );
  element("means", HTMLUListElement).replaceChildren(
    ...lines.map((line) => {
      const item = document.createElement("li");
      item.textContent = line;
      return item;
    }),
  );
  element("model", HTMLParagraphElement).textContent =
    `h is ${transform.name}: ${transform.text}. It was trained on photographs of ` +
    `${transform.width}x${transform.height} pixels; others are scaled and cropped to that. ` +
    `Computed here with ${threads} ${threads === 1 ? "thread" : "threads"} of WebAssembly.`;
}

async function start(): Promise<Ready> {
  const models = await readModels();
  say(models);
  if (!(await isRightServer(models)))
    throw new Error(
      `This server's ${models.classifier.name} is not the classifier that ` +
        `${models.transform.name} was trained for. Nothing will be sent.`,
    );
  const h = await Network.load(`models/${models.transform.file}`);
  const inverse = models.inverse && (await Network.load(`models/${models.inverse.file}`));
  // The first run of a network takes far longer than those after it.
  const { width, height } = models.transform;
  for (const network of [h, inverse])
    await network?.run({ width, height, rgb: new Uint8Array(width * height * 3) });
  if (!inverse) attack.hidden = true;
  status.textContent = "Ready. Choose a picture.";
  return { models, h, inverse };
}

/** Times steps, and writes each into the table as soon as it is over, while the picture is wanted. */
class Steps {
  constructor(private readonly wanted: () => boolean) {
    times.replaceChildren();
  }
  async of<T>(name: string, work: () => T | Promise<T>): Promise<T> {
    const begin = performance.now();
    const result = await work();
    const ms = performance.now() - begin;
    if (!this.wanted()) return result;
    const row = times.insertRow();
    const head = document.createElement("th");
    head.scope = "row";
    head.textContent = name;
    row.append(head);
    row.insertCell().textContent = `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`;
    return result;
  }
}

function sayError(reason: unknown): void {
  error.textContent = reason instanceof Error ? reason.message : String(reason);
  error.hidden = false;
  status.textContent = "";
}

function clear(): void {
  error.hidden = true;
  for (const cell of [label, confidence, bytes]) cell.textContent = "–";
  shielded.hidden = true;
  if (shielded.src) URL.revokeObjectURL(shielded.src);
  shielded.removeAttribute("src");
  rebuiltNote.textContent = REBUILT;
  for (const [canvas, what] of [
    [plain, "plain"],
    [rebuilt, "rebuilt"],
  ] as const) {
    canvas.getContext("2d")!.clearRect(0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", `No ${what} picture yet`);
  }
}

const keyForm = element("key-form", HTMLFormElement);
const keyInput = element("key", HTMLInputElement);

/** Starts, or starts again under another key. */
function begin(): Promise<Ready> {
  const started = start();
  started.catch((reason) => {
    keyForm.hidden = !(reason instanceof KeyNeeded);
    if (keyForm.hidden) sayError(reason);
    else status.textContent = "";
  });
  return started;
}

let ready = begin();
keyForm.addEventListener("submit", (event) => {
  event.preventDefault();
  setKey(keyInput.value.trim());
  keyInput.value = "";
  keyForm.hidden = true;
  error.hidden = true;
  status.textContent = "Loading the networks…";
  ready = begin();
});

let turn = 0;

/** The whole way of one picture. A later one takes an earlier one's place. */
async function use(read: () => Picture | Promise<Picture>, name: string): Promise<void> {
  const mine = ++turn;
  clear();
  document.body.dataset.state = "busy";
  try {
    const { models, h, inverse } = await ready;
    if (mine !== turn) return;
    status.textContent = "Protecting…";
    const steps = new Steps(() => mine === turn);
    const { width, height } = models.transform;
    const input = await steps.of("read, scale, crop", async () => fit(await read(), width, height));
    const hidden = await steps.of("protect (h)", () => h.run(input));
    const png = await steps.of("write PNG", () => encodePng(hidden));
    if (mine !== turn) return;
    show(plain, input);
    plain.setAttribute("aria-label", `The plain picture: ${name}`);
    // The very bytes that are sent next.
    shielded.src = URL.createObjectURL(png);
    shielded.alt = "The protected picture: a pattern";
    shielded.hidden = false;
    status.textContent = "Sending the protected picture…";
    const named = await steps.of("send, wait for the label", () =>
      classify(models.classifier.name, png),
    );
    if (mine !== turn) return;
    label.textContent = named.label;
    confidence.textContent =
      named.confidence === null
        ? "not sent (the server keeps scores to itself)"
        : percent(named.confidence);
    bytes.textContent = `${png.size} bytes: the protected picture as PNG, ${width}x${height}`;
    if (inverse) {
      const guess = await steps.of("attack: rebuild", () => inverse.run(hidden));
      if (mine !== turn) return;
      show(rebuilt, guess);
      rebuilt.setAttribute(
        "aria-label",
        "What the inverse network rebuilt from the protected picture",
      );
      const distance = psnrDb(guess, input).toFixed(1);
      rebuiltNote.textContent = `${REBUILT}; ${distance} dB from the plain one`;
    }
    status.textContent = `The server says: ${named.label}.`;
  } catch (reason) {
    if (mine === turn)
      sayError(reason instanceof KeyNeeded ? "The server asks for a key first." : reason);
  } finally {
    if (mine === turn) document.body.dataset.state = "done";
  }
}

function useFile(file: File | undefined): void {
  if (file) void use(() => readPicture(file), file.name);
}

const input = element("file", HTMLInputElement);
element("choose", HTMLButtonElement).addEventListener("click", () => input.click());
input.addEventListener("change", () => {
  pressed(null);
  useFile(input.files?.[0]);
  input.value = ""; // so that the same file can be chosen again
});

const drop = element("drop", HTMLDivElement);
for (const kind of ["dragover", "drop"])
  document.addEventListener(kind, (event) => event.preventDefault()); // not to be left for the file
drop.addEventListener("dragover", () => drop.classList.add("over"));
drop.addEventListener("dragleave", () => drop.classList.remove("over"));
drop.addEventListener("drop", (event) => {
  drop.classList.remove("over");
  pressed(null);
  useFile(event.dataTransfer?.files[0]);
});

// The camera.
const viewfinder = element("viewfinder", HTMLDivElement);
const video = element("video", HTMLVideoElement);
const cameraButton = element("camera", HTMLButtonElement);
let stream: MediaStream | null = null;

function stopCamera(): void {
  stream?.getTracks().forEach((track) => track.stop());
  stream = null;
  video.srcObject = null;
  viewfinder.hidden = true;
  cameraButton.disabled = false;
}

cameraButton.addEventListener("click", async () => {
  try {
    if (!navigator.mediaDevices)
      throw new Error("Browsers give a camera to pages from this machine or over HTTPS only.");
    cameraButton.disabled = true;
    stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: "environment" } });
    video.srcObject = stream;
    viewfinder.hidden = false;
    await video.play();
    element("take", HTMLButtonElement).focus();
  } catch (reason) {
    stopCamera();
    sayError(reason instanceof DOMException ? new Error(`No camera: ${reason.message}.`) : reason);
  }
});
element("stop", HTMLButtonElement).addEventListener("click", () => {
  stopCamera();
  cameraButton.focus();
});
element("take", HTMLButtonElement).addEventListener("click", () => {
  const picture = pixelsOf(video, video.videoWidth, video.videoHeight);
  stopCamera();
  pressed(null);
  cameraButton.focus();
  void use(() => picture, "from the camera");
});

// The samples.
const samples = element("samples", HTMLUListElement);

function pressed(button: HTMLButtonElement | null): void {
  for (const one of samples.querySelectorAll("button"))
    one.setAttribute("aria-pressed", String(one === button));
}

for (const { name, picture } of drawSamples()) {
  const canvas = document.createElement("canvas");
  show(canvas, picture);
  canvas.setAttribute("aria-hidden", "true");
  const button = document.createElement("button");
  button.type = "button";
  button.append(canvas, name);
  button.setAttribute("aria-pressed", "false");
  button.addEventListener("click", () => {
    pressed(button);
    void use(() => picture, `a drawn ${name}`);
  });
  const item = document.createElement("li");
  item.append(button);
  samples.append(item);
}
