// API keys and JSON web tokens: what the gateway accepts, and which database role stands behind it.

import type { Settings } from "./settings.ts";

export type Role = "anon" | "authenticated" | "service_role";
export type Claims = Record<string, unknown>;

/** What is wrong with a token. */
export type TokenProblem = "format" | "algorithm" | "signature" | "expired";

/** Return the claims of an HS256 token, or what is wrong with it. */
export async function verifyToken(token: string, secret: string): Promise<Claims | TokenProblem> {
  const [head, payload, signature, ...rest] = token.split(".");
  if (!head || !payload || !signature || rest.length > 0) {
    return "format";
  }
  let header: Claims, claims: Claims, signed: Uint8Array<ArrayBuffer>;
  try {
    header = JSON.parse(new TextDecoder().decode(fromBase64Url(head)));
    claims = JSON.parse(new TextDecoder().decode(fromBase64Url(payload)));
    signed = fromBase64Url(signature);
  } catch {
    return "format";
  }
  if (header?.alg !== "HS256") {
    return "algorithm";
  }
  if (secret === "") {
    return "signature";
  }
  const encoder = new TextEncoder();
  const key = await crypto.subtle.importKey(
    "raw",
    encoder.encode(secret),
    { name: "HMAC", hash: "SHA-256" },
    false,
    ["verify"],
  );
  if (!await crypto.subtle.verify("HMAC", key, signed, encoder.encode(`${head}.${payload}`))) {
    return "signature";
  }
  return typeof claims.exp === "number" && claims.exp <= Date.now() / 1000 ? "expired" : claims;
}

/** Return the role of an opaque key (sb_secret_, sb_publishable_) of this project, or null if it is none of them. */
export function roleOfOpaqueKey(key: string, settings: Settings): Role | null {
  if (!key.startsWith("sb_")) {
    return null;
  }
  const secret = [
    settings.supabase.get("SUPABASE_SERVICE_ROLE_KEY"),
    ...named(settings, "SUPABASE_SECRET_KEYS"),
  ];
  const publishable = [
    settings.supabase.get("SUPABASE_ANON_KEY"),
    ...named(settings, "SUPABASE_PUBLISHABLE_KEYS"),
  ];
  if (key.startsWith("sb_secret_") && secret.includes(key)) {
    return "service_role";
  }
  return key.startsWith("sb_publishable_") && publishable.includes(key) ? "anon" : null;
}

/** Return the token of an Authorization header, or null if it is not of the form "Bearer TOKEN". */
export function bearerToken(header: string): string | null {
  return /^bearer (\S+)$/i.exec(header.trim())?.[1] ?? null;
}

function named(settings: Settings, variable: string): unknown[] {
  try {
    return Object.values(JSON.parse(settings.supabase.get(variable) ?? "{}") ?? {});
  } catch {
    console.error(`${variable} is not valid JSON: its keys are not accepted`);
    return [];
  }
}

function fromBase64Url(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (one) => one.charCodeAt(0));
}
