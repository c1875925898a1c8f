// What the page asks of the server. Nothing else in it calls fetch with a body.

/** What scripts/web_models.py wrote: the models that this page was built with. */
export interface Models {
  transform: {
    name: string;
    file: string;
    text: string;
    width: number;
    height: number;
    /** Of the psi that h was trained for; empty where h does not say. */
    classifier_sha256: string;
    /** Of a coded h: what it lets through; else 0. */
    bits: number;
    figures: Record<string, number>;
  };
  classifier: { name: string };
  inverse: { name: string; file: string; text: string; figures: Record<string, number> } | null;
}

export interface Named {
  label: string;
  /** From 0 to 1; null where the server tells none, which is its default. */
  confidence: number | null;
}

/** The server wants a key, or another one. */
export class KeyNeeded extends Error {}

let key = "";

/** From here on requests for models carry this key. It is kept in memory alone. */
export function setKey(text: string): void {
  key = text;
}

const withKey = (): Record<string, string> => (key ? { Authorization: `Bearer ${key}` } : {});

/** The text of a refusal, or the status. */
async function reasonOf(answer: Response): Promise<string> {
  try {
    const { error } = (await answer.json()) as { error?: unknown };
    if (typeof error === "string") return error;
  } catch {
    // Not of this server's making.
  }
  return `status ${answer.status}`;
}

async function getJson<T>(url: string, headers: Record<string, string> = {}): Promise<T> {
  const answer = await fetch(url, { cache: "no-cache", headers });
  if (answer.status === 401) throw new KeyNeeded();
  if (!answer.ok) throw new Error(`${url}: ${await reasonOf(answer)}`);
  return (await answer.json()) as T;
}

export const readModels = () => getJson<Models>("models/models.json");

const addressOf = (model: string) => `/v2/models/${encodeURIComponent(model)}`;

/** Whether the server has the psi that h was trained for: another one would name nothing. */
export async function isRightServer(models: Models): Promise<boolean> {
  const { name } = models.classifier;
  const model = await getJson<{ parameters?: { content_sha256?: string } }>(
    addressOf(name),
    withKey(),
  );
  const wanted = models.transform.classifier_sha256;
  return wanted === "" || model.parameters?.content_sha256 === wanted;
}

/** Sends the protected picture's PNG, as it is, and nothing beside it. */
export async function classify(model: string, protectedPng: Blob): Promise<Named> {
  const answer = await fetch(`${addressOf(model)}/classify`, {
    method: "POST",
    headers: { "Content-Type": "image/png", ...withKey() },
    body: protectedPng,
    credentials: "omit",
  });
  if (!answer.ok) throw new Error(`The server did not name it: ${await reasonOf(answer)}.`);
  const named = (await answer.json()) as { name: string; top?: { probability?: number }[] };
  return { label: named.name, confidence: named.top?.[0]?.probability ?? null };
}
