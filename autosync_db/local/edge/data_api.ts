// A stand-in for the Data API (PostgREST): the part of it that functions use, with the same addresses, roles and errors.
//
// /rest/v1/rpc/<function>  POST with named arguments
// /rest/v1/<table>         GET, POST, PATCH, DELETE with eq, neq, gt, gte, lt, lte, like, ilike, is, in, not., or=,
//                          select=, order=, limit=, offset=
// Embedded resources, upserts, exact counts and JSON paths are refused with a message, never silently ignored.

import postgres from "postgres";
import { ApiError, asApiError } from "./data_api_errors.ts";
import { describeFunction, describeTable, type Transaction } from "./data_api_catalogue.ts";
import { callFunction, changeRows, insertRows, readRows, removeRows } from "./data_api_statements.ts";
import type { Handler } from "./gateway.ts";
import { bearerToken, type Claims, type Role, roleOfOpaqueKey, verifyToken } from "./keys.ts";
import type { Settings } from "./settings.ts";

interface Caller {
  role: Role;
  claims: Claims;
}

interface Result {
  /** The rows as a JSON array, the value as JSON, or null for nothing. */
  json: string | null;
  /** What to answer when the caller did not ask for the rows. */
  emptyStatus: number;
  status: number;
}

const ROLES = ["anon", "authenticated", "service_role"];
const ONE_OBJECT = "application/vnd.pgrst.object+json";

/** Return the handler of everything under /rest/v1. It connects when it is first needed. */
export function dataApi(settings: Settings): Handler {
  if (settings.databaseUrl === null) {
    const error = new ApiError(503, "PGRST000", "Database connection error", "AUTOSYNC_DB_URL is not set");
    return () => Promise.resolve(error.response());
  }
  const sql = postgres(settings.databaseUrl, {
    max: 5,
    idle_timeout: 30,
    connect_timeout: 5,
    // Transaction poolers know no prepared statements.
    prepare: false,
    onnotice: () => {},
    connection: { application_name: "autosync-db local data api (stand-in)" },
  });

  return async (request) => {
    let role: Role | null = null;
    try {
      const caller = await identify(request, settings);
      role = caller.role;
      const result = await sql.begin(request.method === "GET" ? "read only" : "read write", async (tx) => {
        // As the API does it: claims and role hold for this transaction, and no longer.
        await tx`
          select pg_catalog.set_config('request.jwt.claims', ${JSON.stringify(caller.claims)}::text, true),
                 pg_catalog.set_config('request.method', ${request.method}::text, true),
                 pg_catalog.set_config('search_path', 'public, extensions', true),
                 pg_catalog.set_config('role', ${caller.role}::text, true)`;
        return await route(request, tx);
      }) as Result;
      return answer(request, result);
    } catch (error) {
      const problem = asApiError(error, role);
      if (problem.status >= 500) {
        console.error(`data api: ${request.method} ${new URL(request.url).pathname}: ${problem.message}`);
      }
      return problem.response();
    }
  };
}

async function route(request: Request, tx: Transaction): Promise<Result> {
  const url = new URL(request.url);
  const path = url.pathname.slice("/rest/v1/".length).split("/").map(decodeURIComponent);
  if (path[0] === "rpc" && path.length === 2) {
    if (request.method !== "POST") {
      throw new ApiError(405, "PGRST101", "the local stand-in calls functions by POST only");
    }
    const args = await bodyOf(request, {});
    if (Array.isArray(args)) {
      throw new ApiError(400, "PGRST102", "the arguments are not a JSON object");
    }
    const found = await describeFunction(tx, path[1]!, Object.keys(args));
    const json = await callFunction(tx, found, args);
    return { json, status: 200, emptyStatus: 204 };
  }
  if (path.length !== 1 || path[0] === "") {
    throw new ApiError(404, "PGRST125", "Invalid path specified in request URL");
  }
  const table = await describeTable(tx, path[0]!);
  const prefer = request.headers.get("prefer") ?? "";
  const wanted = prefer.includes("return=representation");
  if (prefer.includes("resolution=")) {
    throw new ApiError(400, "PGRST100", "the local stand-in does not upsert");
  }
  switch (request.method) {
    case "GET":
      return { json: await readRows(tx, table, url.searchParams), status: 200, emptyStatus: 200 };
    case "POST": {
      const json = await insertRows(tx, table, url.searchParams, await bodyOf(request), wanted);
      return { json, status: 201, emptyStatus: 201 };
    }
    case "PATCH": {
      const body = await bodyOf(request);
      if (Array.isArray(body)) {
        throw new ApiError(400, "PGRST102", "the body is not a JSON object");
      }
      const json = await changeRows(tx, table, url.searchParams, body, wanted);
      return { json, status: 200, emptyStatus: 204 };
    }
    case "DELETE":
      return { json: await removeRows(tx, table, url.searchParams, wanted), status: 200, emptyStatus: 204 };
    default:
      throw new ApiError(405, "PGRST117", `Unsupported HTTP method: ${request.method}`);
  }
}

function answer(request: Request, result: Result): Response {
  if (result.json === null) {
    return new Response(null, { status: result.emptyStatus });
  }
  let json = result.json;
  const value: unknown = JSON.parse(json);
  const headers = new Headers({ "content-type": "application/json; charset=utf-8" });
  if (Array.isArray(value)) {
    headers.set("content-range", value.length === 0 ? "*/*" : `0-${value.length - 1}/*`);
    if ((request.headers.get("accept") ?? "").includes(ONE_OBJECT)) {
      if (value.length !== 1) {
        throw new ApiError(
          406,
          "PGRST116",
          "Cannot coerce the result to a single JSON object",
          `The result contains ${value.length} rows`,
        );
      }
      // Cut from the text, so that numbers keep the digits that the database gave them.
      json = json.trim().slice(1, -1).trim();
    }
  }
  return new Response(json, { status: result.status, headers });
}

async function bodyOf(request: Request, otherwise?: Record<string, unknown>): Promise<Body> {
  const text = await request.text();
  if (text.trim() === "" && otherwise !== undefined) {
    return otherwise;
  }
  try {
    const body: unknown = JSON.parse(text);
    if (typeof body === "object" && body !== null) {
      return body as Body;
    }
  } catch {
    // Answered below.
  }
  throw new ApiError(400, "PGRST102", "Empty or invalid json");
}
type Body = Record<string, unknown> | Record<string, unknown>[];

/** Return who is calling. Throws an ApiError with status 401 if the key or token is missing or worthless. */
async function identify(request: Request, settings: Settings): Promise<Caller> {
  const key = request.headers.get("apikey");
  if (!key) {
    throw new ApiError(
      401,
      null,
      "No API key found in request",
      null,
      "No `apikey` request header was found.",
    );
  }
  const header = request.headers.get("authorization");
  const bearer = header === null ? null : bearerToken(header);
  let caller: Caller;
  const opaque = roleOfOpaqueKey(key, settings);
  if (opaque !== null) {
    // The platform keeps secret keys out of browsers this way.
    if (opaque === "service_role" && /^mozilla\//i.test(request.headers.get("user-agent") ?? "")) {
      throw new ApiError(401, null, "Forbidden use of secret API key in browser");
    }
    caller = { role: opaque, claims: { role: opaque } };
  } else {
    const claims = await verifyToken(key, settings.jwtSecret);
    if (typeof claims === "string") {
      throw new ApiError(401, null, "Invalid API key", null, "Double check your API key.");
    }
    caller = callerOf(claims);
  }
  if (bearer === null || bearer === key) {
    return caller;
  }
  const claims = await verifyToken(bearer, settings.jwtSecret);
  switch (claims) {
    case "expired":
      throw new ApiError(401, "PGRST303", "JWT expired");
    case "format":
    case "algorithm":
    case "signature":
      throw new ApiError(401, "PGRST301", "No suitable key or wrong key type");
    default:
      return callerOf(claims);
  }
}

function callerOf(claims: Claims): Caller {
  if (!ROLES.includes(claims.role as string)) {
    throw new ApiError(401, "22023", `role "${claims.role ?? ""}" does not exist`);
  }
  return { role: claims.role as Role, claims };
}
