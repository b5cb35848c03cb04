// Who may call: the holders of a service key, and nobody else.
//
// The gateway's verify_jwt lets the public anon key through, so it cannot be what protects a function that works
// with service rights. This module is: it fails closed, and it compares in constant time.

/** The environment of a function, as much of it as the modules here need. */
export interface Environment {
  get(name: string): string | undefined;
}

/** Whether the caller may go on. `key` is the service key that was presented, null if a cron secret was. */
export type Verdict =
  | { kind: "granted"; key: string | null }
  | { kind: "unauthenticated" }
  | { kind: "unconfigured" };

const CRON_SECRET_HEADER = "x-autosync-cron-secret";

/**
 * Return every service key of this environment, `SUPABASE_SERVICE_ROLE_KEY` first, then the values of
 * `SUPABASE_SECRET_KEYS` with the one named `default` leading. Public keys that were put there by mistake are left out.
 */
export function serviceKeys(environment: Environment): string[] {
  const keys = [environment.get("SUPABASE_SERVICE_ROLE_KEY") ?? "", ...namedSecretKeys(environment)];
  return [...new Set(keys.map((key) => key.trim()))].filter((key) => key !== "" && !isPublic(key));
}

/** Return the cron secrets of this environment: one, or both the old and the new one during a rotation. */
export function cronSecrets(environment: Environment): string[] {
  return (environment.get("AUTOSYNC_CRON_SECRET") ?? "").split(",").map((one) => one.trim()).filter(Boolean);
}

/**
 * Judge the credentials of a request: a service key as a bearer token or on the `apikey` header, or one of `secrets`
 * on the `x-autosync-cron-secret` header. Without any service key configured nobody is granted anything.
 */
export async function judge(
  request: Request,
  environment: Environment,
  secrets: readonly string[] = [],
): Promise<Verdict> {
  const keys = serviceKeys(environment);
  if (keys.length === 0) {
    return { kind: "unconfigured" };
  }
  const bearer = /^bearer +(\S+) *$/i.exec(request.headers.get("authorization") ?? "")?.[1] ?? "";
  const byBearer = await match(bearer, keys);
  const byApiKey = await match((request.headers.get("apikey") ?? "").trim(), keys);
  const bySecret = await match((request.headers.get(CRON_SECRET_HEADER) ?? "").trim(), secrets);
  const key = byBearer ?? byApiKey;
  return key !== null || bySecret !== null ? { kind: "granted", key } : { kind: "unauthenticated" };
}

/** Return the answer for a caller who was not granted, and null for one who was. */
export function refusal(verdict: Verdict): Response | null {
  switch (verdict.kind) {
    case "granted":
      return null;
    case "unauthenticated":
      return Response.json({ ok: false, error: "unauthorized" }, { status: 401 });
    case "unconfigured":
      return Response.json(
        { ok: false, error: "no service key is configured in the function's environment" },
        { status: 500 },
      );
  }
}

/** Return the headers that carry `key`: a secret key travels on `apikey` alone, a legacy JWT as a bearer token too. */
export function keyHeaders(key: string): Record<string, string> {
  return key.startsWith("sb_") ? { apikey: key } : { apikey: key, authorization: `Bearer ${key}` };
}

/** Return the one of `accepted` that equals `presented`, or null, in a time that does not depend on either. */
async function match(presented: string, accepted: readonly string[]): Promise<string | null> {
  const digest = await sha256(presented);
  let found: string | null = null;
  for (const candidate of accepted) {
    if (equal(digest, await sha256(candidate)) && presented !== "") {
      found = candidate;
    }
  }
  return found;
}

async function sha256(text: string): Promise<Uint8Array> {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
}

function equal(left: Uint8Array, right: Uint8Array): boolean {
  let difference = left.length ^ right.length;
  for (let index = 0; index < left.length; index++) {
    difference |= (left[index] ?? 0) ^ (right[index] ?? 0);
  }
  return difference === 0;
}

function namedSecretKeys(environment: Environment): string[] {
  const text = environment.get("SUPABASE_SECRET_KEYS");
  if (!text) {
    return [];
  }
  let named: unknown;
  try {
    named = JSON.parse(text);
  } catch {
    console.error("SUPABASE_SECRET_KEYS is not valid JSON: none of its keys is accepted");
    return [];
  }
  if (typeof named !== "object" || named === null || Array.isArray(named)) {
    console.error("SUPABASE_SECRET_KEYS is not a JSON object: none of its keys is accepted");
    return [];
  }
  return Object.entries(named)
    .sort(([left], [right]) => Number(right === "default") - Number(left === "default"))
    .map(([, value]) => value)
    .filter((value): value is string => typeof value === "string");
}

/** Say whether `key` is one that browsers are given: a publishable key, or a JWT of a role other than service_role. */
function isPublic(key: string): boolean {
  if (key.startsWith("sb_")) {
    return !key.startsWith("sb_secret_");
  }
  const payload = key.split(".")[1];
  if (payload === undefined) {
    return false;
  }
  try {
    const claims = JSON.parse(atob(payload.replaceAll("-", "+").replaceAll("_", "/")));
    return claims?.role !== "service_role";
  } catch {
    return false;
  }
}
