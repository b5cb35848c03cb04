// Reading what others answer: never more than a bounded amount, and never a secret passed on.

import { withoutSecrets } from "./key_patterns.ts";

const TEXT_LIMIT_BYTES = 1_000_000;
const SHOWN_LIMIT_CHARACTERS = 200;

/** Return the body of a request or an answer as text. Throws a RangeError beyond `limit` bytes. */
export async function boundedText(
  message: Request | Response,
  limit: number = TEXT_LIMIT_BYTES,
): Promise<string> {
  if (message.body === null) {
    return "";
  }
  const decoder = new TextDecoder();
  let text = "";
  let received = 0;
  for await (const chunk of message.body) {
    received += chunk.byteLength;
    if (received > limit) {
      throw new RangeError(`the body is larger than ${limit} bytes`);
    }
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}

/** Return `text` parsed as a JSON object, or null if it is anything else. */
export function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? value as Record<string, unknown>
      : null;
  } catch {
    return null;
  }
}

/** Return `text` on one line, shortened, with everything that looks like a credential or an address masked. */
export function presentable(text: string): string {
  const clean = withoutSecrets(text)
    .replace(/\bbearer\s+\S+/gi, "bearer ***")
    .replace(/\b(\w+:\/\/)[^\s/@]+@/g, "$1***@")
    .replace(/[\w.+-]+@[\w-]+\.[\w.-]+/g, "***")
    .replace(/\s+/g, " ")
    .trim();
  return clean.length > SHOWN_LIMIT_CHARACTERS ? `${clean.slice(0, SHOWN_LIMIT_CHARACTERS - 1)}…` : clean;
}

/** Return a short text for `error` that holds no secret, and is never empty. */
export function reasonOf(error: unknown): string {
  if (error instanceof DOMException && error.name === "TimeoutError") {
    return "timed out";
  }
  return presentable(error instanceof Error ? error.message || error.name : String(error)) || "unknown error";
}
