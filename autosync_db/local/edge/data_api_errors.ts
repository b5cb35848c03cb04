// The Data API's errors: a status and {code, message, details, hint}, as PostgREST answers them.

import postgres from "postgres";
import type { Role } from "./keys.ts";

/** A request that is answered with an error. */
export class ApiError extends Error {
  override name = "ApiError";
  constructor(
    readonly status: number,
    readonly code: string | null,
    message: string,
    readonly details: string | null = null,
    readonly hint: string | null = null,
  ) {
    super(message);
  }

  response(): Response {
    const { code, message, details, hint } = this;
    return Response.json(code === null ? { message, hint } : { code, message, details, hint }, {
      status: this.status,
      headers: { "content-type": "application/json; charset=utf-8" },
    });
  }
}

const CONNECTION_CODES = /^(CONNECT|CONNECTION_|ECONN|ENOENT|ENOTFOUND|EHOSTUNREACH|ETIMEDOUT)/;

/** Return any thrown `error` as the ApiError that PostgREST would make of it for a caller of `role`. */
export function asApiError(error: unknown, role: Role | null): ApiError {
  if (error instanceof ApiError) {
    return error;
  }
  if (error instanceof postgres.PostgresError) {
    return new ApiError(
      statusOf(error.code, role),
      error.code,
      error.message,
      error.detail ?? null,
      error.hint ?? null,
    );
  }
  const code = String((error as { code?: unknown })?.code ?? "");
  if (CONNECTION_CODES.test(code)) {
    return new ApiError(503, "PGRST001", "Database client error. Retrying the connection.", code);
  }
  return new ApiError(500, "PGRSTX00", error instanceof Error ? error.message : String(error));
}

function statusOf(code: string, role: Role | null): number {
  const byCode: Record<string, number> = {
    "42501": role === "anon" ? 401 : 403,
    "42P01": 404,
    "42883": 404,
    "42P17": 500,
    "23503": 409,
    "23505": 409,
    "25006": 405,
    "21000": 400,
    "P0001": 400,
    "57014": 500,
    "53400": 500,
  };
  const own = /^PT([1-5]\d\d)$/.exec(code)?.[1];
  if (own !== undefined) {
    return Number(own);
  }
  const byClass: Record<string, number> = {
    "08": 503,
    "09": 500,
    "0L": 403,
    "0P": 403,
    "25": 500,
    "28": 403,
    "2D": 500,
    "38": 500,
    "39": 500,
    "3B": 500,
    "40": 500,
    "53": 503,
    "54": 500,
    "55": 500,
    "57": 503,
    "58": 500,
    "F0": 500,
    "HV": 500,
    "P0": 500,
    "XX": 500,
  };
  return byCode[code] ?? byClass[code.slice(0, 2)] ?? 400;
}
