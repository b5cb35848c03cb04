// The gateway: routes, the verify_jwt check of the hosted gateway, and the platform's own error answers.

import type { Functions } from "./functions.ts";
import { bearerToken, verifyToken } from "./keys.ts";
import { platformError } from "./platform_error.ts";
import type { Settings } from "./settings.ts";

export type Handler = (request: Request) => Promise<Response>;
type RemoteHandler = (request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>) => Promise<Response>;

const FUNCTION_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];

/** Return the handler of the whole runtime. */
export function serveGateway(settings: Settings, functions: Functions, api: Handler): RemoteHandler {
  return async (request, info) => {
    const url = new URL(request.url);
    const name = /^\/functions\/v1\/([^/]+)(?:\/.*)?$/.exec(url.pathname)?.[1];
    try {
      if (name !== undefined) {
        return await callFunction(decodeURIComponent(name), request, info);
      }
      if (url.pathname.startsWith("/rest/v1/")) {
        return await api(request);
      }
    } catch (error) {
      console.error(`${request.method} ${url.pathname} failed:`, error);
      return Response.json({ message: "the local edge runtime failed, see its log" }, { status: 500 });
    }
    if (url.pathname === "/health") {
      return Response.json({
        ok: true,
        stand_in: "autosync-db local edge runtime",
        functions: functions.state(),
      });
    }
    return Response.json({ message: "no Route matched with those values" }, { status: 404 });
  };

  async function callFunction(
    name: string,
    request: Request,
    info: Deno.ServeHandlerInfo<Deno.NetAddr>,
  ): Promise<Response> {
    if (!FUNCTION_METHODS.includes(request.method)) {
      return Response.json({ message: "method not allowed" }, { status: 405 });
    }
    if (!functions.has(name)) {
      return platformError(404, "NOT_FOUND", "Requested function was not found");
    }
    const verify = settings.verifyJwt.byFunction.get(name) ?? settings.verifyJwt.byDefault;
    // Browsers send no credentials with a preflight request.
    const refused = verify && request.method !== "OPTIONS" ? await jwtRefusal(request, settings) : null;
    return refused ?? await functions.call(name, request, forwarded(request, info));
  }
}

async function jwtRefusal(request: Request, settings: Settings): Promise<Response | null> {
  const header = request.headers.get("authorization");
  if (!header) {
    return platformError(401, "UNAUTHORIZED_NO_AUTH_HEADER", "Missing authorization header");
  }
  const token = bearerToken(header);
  const claims = token === null ? "format" : await verifyToken(token, settings.jwtSecret);
  switch (claims) {
    case "format":
      return platformError(401, "UNAUTHORIZED_INVALID_JWT_FORMAT", "Invalid JWT");
    case "algorithm":
      return platformError(401, "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM", "Unsupported JWT algorithm");
    case "signature":
    case "expired":
      return platformError(401, "UNAUTHORIZED_LEGACY_JWT", "Invalid JWT");
    default:
      return null;
  }
}

function forwarded(request: Request, info: Deno.ServeHandlerInfo<Deno.NetAddr>): Headers {
  const headers = new Headers(request.headers);
  const url = new URL(request.url);
  const before = request.headers.get("x-forwarded-for");
  headers.set("x-forwarded-for", [before, info.remoteAddr.hostname].filter(Boolean).join(", "));
  headers.set("x-forwarded-host", url.hostname);
  headers.set("x-forwarded-port", url.port);
  headers.set("x-forwarded-proto", "http");
  return headers;
}
