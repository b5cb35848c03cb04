// What functions read from their environment and from headers.

import type { Environment } from "./credentials.ts";

/** Return the address of the project, without a trailing slash; empty if it is not configured. */
export function projectUrlIn(environment: Environment): string {
  return (environment.get("SUPABASE_URL") ?? "").trim().replace(/\/+$/, "");
}

/** Return `value` as a whole number between `least` and `most`, or `otherwise` if it is no number. */
export function bounded<T>(value: unknown, least: number, most: number, otherwise: T): number | T {
  const number = typeof value === "string" && value.trim() !== "" ? Number(value) : value;
  if (typeof number !== "number" || !Number.isFinite(number)) {
    return otherwise;
  }
  return Math.min(most, Math.max(least, Math.trunc(number)));
}
