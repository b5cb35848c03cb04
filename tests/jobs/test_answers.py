"""What an answer proves, who gave it, and which part of the chain it speaks of: docs/reference/answers.md as cases."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from autosync_db.jobs import answerers, answers
from autosync_db.local.cluster import Cluster

JSON = {"content-type": "application/json"}
PAGE = {"content-type": "text/html; charset=utf-8"}
HTML = "<!DOCTYPE html><html><head><title>App</title></head><body></body></html>"
NGINX = (
    "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center>nginx/1.25.3</center>\r\n</body></html>"
)
BLOCKED = "<!DOCTYPE html><title>Attention Required! | Cloudflare</title>"


@dataclass(frozen=True)
class Answer:
    """An answer as pg_net keeps it, and what it must be taken for."""

    cause: str
    status: int
    body: Any = ""
    headers: dict[str, str] = field(default_factory=lambda: JSON)
    by: str | None = None
    proof: str | None = None
    expect: dict[str, Any] | None = None


def good(proof: str, body: Any = "", status: int = 200, **more: Any) -> Answer:
    return Answer("ok", status, body, proof=proof, **more)


def failed(body: Any, status: int = 200, **more: Any) -> Answer:
    return Answer("function", status, body, **more)


def gateway(
    by: str, status: int, body: Any = "", headers: dict[str, str] | None = None, cause: str = "gateway"
) -> Answer:
    return Answer(cause, status, body, headers or JSON, by)


STATED = [
    good("stated", {"ok": True}),
    good("stated", {"success": True, "data": {"status": "failed", "note": "error"}}),
    good("stated", {"status": "ok", "errors": []}),
    good("stated", {"success": True, "error": None}),
    good("stated", {"result": {"ok": True}}),
    good("stated", {"succeeded": 2, "failed": 1}),
    good("stated", {"synced": 12, "errors": 0}),
    good("stated", {"ok": True, "duration_ms": 4, "counts": {"claimed": 1, "succeeded": 0, "failed": 1}}),
    good("stated", {"statusCode": 200, "body": "x"}),
    failed({"ok": False}),
    failed({"success": False, "message": "quota"}),
    failed({"success": "false"}),
    failed({"status": "error"}),
    failed({"status": "FAILED", "detail": "x"}),
    failed({"state": "timed out"}),
    failed({"error": "boom"}),
    failed({"error": {"message": "boom"}}),
    failed({"data": None, "error": {"code": "PGRST202"}}),
    failed({"errors": [{"message": "no such table"}]}),
    failed({"errors": {"email": ["is taken"]}}),
    failed({"succeeded": 0, "failed": 2}),
    failed({"failed": 3, "total": 3, "duration_ms": 20}),
    failed({"failed": ["a", "b"], "succeeded": []}),
    failed({"result": {"success": False}}),
    failed({"summary": {"sent": 0, "errors": 4}}),
    failed({"results": [{"ok": False}, {"ok": False}]}),
    failed([{"error": "a"}, {"error": "b"}]),
    failed({"statusCode": 500, "body": "x"}),
    failed({"code": 401, "message": "Invalid JWT"}),
    failed({"ok": True, "error": "the token has expired"}),
    failed({"ok": False, "duration_ms": 4, "counts": {"claimed": 1}}),
    failed({"errorMessage": "Task timed out", "errorType": "Timeout"}),
    # of many lines the last, and what stands before JSON
    failed('{"step": 1, "ok": true}\n{"step": 2, "ok": false, "error": "boom"}\n'),
    good("stated", '{"step": 1, "ok": false, "error": "again"}\n{"step": 2, "ok": true}\n'),
    failed('\ufeff{"ok": false}'),
    good("stated", '\ufeff{"ok": true}'),
    # as libraries and other languages say it
    failed({"code": "42P01", "details": None, "hint": None, "message": "no such relation"}),
    failed([{"status": "rejected", "reason": "timeout"}]),
    failed({"content": [{"text": "x"}], "isError": True}),
    failed({"name": "TypeError", "stack": "TypeError: x\n    at file:///index.ts:3:1"}),
    failed({"errcode": 40013, "errmsg": "invalid appid"}),
    failed({"code": 500, "msg": "internal error"}),
    failed({"result": {"code": 1, "message": "connection refused"}}),
    failed({"status": "error: quota exceeded"}),
    failed({"sucesso": False, "mensagem": "sem saldo"}),
    failed({"statut": "échec"}),
    failed({"success": "no"}),
    # a list of the few that failed
    good("stated", {"processed": 10, "succeeded": 9, "failed": 1, "errors": ["row 7: bad date"]}),
    good("stated", {"success": ["a", "b"], "failed": ["c"], "errors": {"c": "bounced"}}),
    failed({"synced": 0, "failed": 2, "errors": ["a", "b"]}),
    failed({"synced": 12, "errors": ["a"]}),
    # what jsonb does not hold
    failed('{"ok": false, "error": "the byte \\u0000"}'),
    failed('{"ok": false, "error": "cut \\ud83d", "path": "C:\\\\u0000"}'),
    failed('{"ok": false, "rate": NaN, "most": -Infinity, "n": [1e999999]}'),
    failed('{"ok": false, "error": "of two\nlines\tand a tab"}'),
    good("stated", '{"ok": true, "rate": NaN}'),
    good("silent", '{"rate": NaN, "error": null}'),
    # of what cannot be read to its end the start, and failures alone
    failed({"ok": False, "error": "boom", "log": "x" * 120_000}),
    failed('{"status": "failed", "log": "cut o'),
    good("long", {"ok": True, "failed": 3, "rows": ["x" * 120_000]}),
    good("long", {"rows": ["x" * 120_000], "ok": False}),
    good("text", '{"failed": 3, "rows": [1,'),
    # JSON in a text of JSON, and events
    failed(json.dumps(json.dumps({"ok": False, "error": "boom"}))),
    good("text", json.dumps("ok is false")),
    failed('event: error\ndata: {"error":"boom"}\n\n'),
    failed('event: progress\r\ndata: {"done": 1}\r\n\r\nevent: failed\r\ndata: boom\r\n\r\n'),
    failed('data: {"ok": true}\n\ndata: {"type": "error", "message": "boom"}\n\ndata: [DONE]\n\n'),
    good("stated", 'event: error\ndata: {"error": "again"}\n\ndata: {"ok": true}\n\n'),
    good("text", "event: error was logged\ndata: none"),
    # long lists, runs by name, and one level more
    failed([{"id": n, "ok": False, "error": "x"} for n in range(250)]),
    failed({"results": [{"id": n, "ok": False} for n in range(250)]}),
    good("silent", {"results": [{"id": n, "ok": n > 200} for n in range(250)]}),
    failed({"results": {"org-1": {"ok": False, "error": "x"}, "org-2": {"ok": False}}}),
    failed({"stripe": {"error": "x"}, "hubspot": {"error": "y"}}),
    failed({"data": {"results": [{"success": False}, {"success": False}]}}),
    failed({"result": {"data": {"error": "x"}}}),
    failed({"syncResult": {"errors": ["x"]}}),
    good("silent", {"results": {"org-1": {"ok": False}, "org-2": {"id": 2}}}),
    # all that was tried failed, whatever else is counted
    failed({"organizations": 3, "processed": 2, "failed": 2}),
    failed({"sent": 0, "bounced": 5, "failed": 5}),
    good("stated", {"organizations": 3, "processed": 5, "failed": 2}),
    good("stated", {"jobs": 2, "emails": 40, "failed": 2}),
    # other languages, and other words
    failed({"éxito": False, "mensaje": "sin saldo"}),
    failed({"succe\u0300s": False}),
    failed({"статус": "ошибка"}),
    good("stated", {"estado": "Éxito"}),
    failed({"status": "denied"}),
    failed({"status": "Unauthorized"}),
    failed({"result": {"status": "access denied"}}),
    failed({"status": "DOWN"}),
    failed({"completed": False, "reason": "lock not obtained"}),
    failed({"passed": False, "reason": "3 assertions"}),
    failed({"type": "error", "message": "boom"}),
    # a text that is nothing but an error
    failed("Error: connect ECONNREFUSED 10.0.0.1:443"),
    failed("TypeError: null is not an object\n    at handler (file:///index.ts:3:4)"),
    failed("Traceback (most recent call last):\n  File x\nKeyError: 'a'\n"),
    failed("PHP Fatal error: out of memory"),
    failed("Internal Server Error"),
    failed('<?xml version="1.0"?>\n<soap:Envelope xmlns:soap="x"><soap:Body><soap:Fault>'),
    failed("<error code='7'>quota</error>"),
]
UNPROVEN = [
    good("text", "Error: none"),
    good("text", "Errors: 0, synced: 4"),
    good("text", "The report on server errors was sent. Internal server error: 0"),
    good("text", "<soap:Envelope><soap:Body><default/></soap:Body></soap:Envelope>"),
    good("text", "<errata/>"),
    good("empty"),
    good("empty", "", 204),
    good("empty", " \n"),
    good("text", "done", headers={"content-type": "text/plain"}),
    good("text", "no errors", 202),
    good("text", "{not json"),
    good("silent", {"hello": "world"}),
    good("silent", []),
    good("silent", {"message": "there were no failed payments"}),
    good("silent", {"error": None}),
    good("silent", {"errors": [], "id": 7}),
    good("silent", {"error": "", "exception": {}}),
    good("silent", {"items": [{"status": "failed"}, {"status": "failed"}]}),
    good("silent", {"orders": [{"error": "none"}]}),
    good("silent", {"results": []}),
    good("silent", {"status": "queued", "id": 12}),
    good("silent", {"failed": 0}),
    good("silent", [{"error": "a"}, {"id": 1}]),
    good("silent", {"error": {"code": 0, "message": "success"}}),
    good("silent", {"errcode": 0, "errmsg": "ok"}),
    good("silent", {"code": 1, "message": "success"}),
    good("silent", {"code": "12345", "message": "welcome", "details": "failed"}),
    good("silent", {"isError": False, "stack": ["react"], "traceback": None}),
    good("silent", {"success": 0, "failed": 0}),
    good("silent", {"success": 0, "message": "nothing to do"}),
    good("silent", [{"status": "fulfilled"}, {"status": "rejected"}]),
    good("silent", {"errors": ["none"]}),
    good("silent", {"errors": ["", None, 0, "No errors"]}),
    # what speaks of something else than the run
    good("silent", {"cleared": {"errors": 7}}),
    good("silent", {"deleted": {"errors": 7, "failures": 2}}),
    good("silent", {"previous_failure": {"error": "x"}, "synced": 3}),
    good("silent", {"last_result": {"error": "x"}}),
    good("silent", {"orders": {"failed": 3, "succeeded": 0}}),
    good("silent", {"payments": {"status": "failed", "count": 2}}),
    good("silent", {"data": {"jobs": [{"status": "failed"}]}}),
    good("silent", {"results": [{"site": "a", "status": "down"}, {"site": "b", "status": "down"}]}),
    # it goes on later
    good("silent", {"completed": False, "next_cursor": "x", "reason": "500 rows a call"}),
    good("silent", {"completed": False, "reason": "nothing to do"}),
    good("silent", {"completed": False, "id": 7}),
    good("silent", {"type": "error", "count": 3}),
    good("silent", [{"type": "error", "message": "a line of a log"}]),
    good("silent", {"status": "downgraded"}),
    # some frameworks call all that they answer HTML
    good("text", "OK", headers=PAGE),
    good("empty", "", 204, headers=PAGE),
    good("stated", {"ok": True}, headers=PAGE),
    good("text", '<?xml version="1.0"?><ok/>', headers={"content-type": "text/xml"}),
    good("long", json.dumps({"data": "x" * 200_000})),
]
EXPECTED = [
    good("expected", {"state": "done", "n": 1}, expect={"json": {"state": "done"}}),
    good("expected", {"ok": False, "why": "nothing to do"}, expect={"json": {"why": "nothing to do"}}),
    good("expected", "", 404, expect={"status": [200, 404]}),
    good("expected", "Forbidden", 403, expect={"status": [200, 403]}),
    failed({"state": "open"}, expect={"json": {"state": "done"}}),
    failed("done", expect={"json": {"state": "done"}}),
    failed("", 201, expect={"status": [200]}),
    failed({"ok": False}, 202, expect={"status": [200, 202]}),
]
GATEWAYS = [
    Answer("page", 200, HTML, PAGE, "web page"),
    Answer("page", 200, "\n<html lang=en>", {}, "web page"),
    Answer("page", 200, "<!-- built --><!doctype html>", JSON, "web page"),
    Answer("page", 404, HTML, PAGE, "web page"),
    Answer(
        "page",
        404,
        "The deployment could not be found on Vercel.\n\nDEPLOYMENT_NOT_FOUND",
        {"server": "Vercel"},
        "vercel",
    ),
    Answer("page", 200, HTML, {"Server": "GitHub.com", **PAGE}, "github pages"),
    Answer("page", 404, "Not Found - Request ID: 01H", {"server": "Netlify"}, "netlify"),
    gateway("kong", 404, {"message": "no Route matched with those values"}),
    gateway("kong", 503, {"message": "name resolution failed"}, {"server": "kong/2.8.1", **JSON}),
    gateway("kong", 502, "", {"x-kong-response-latency": "1"}),
    gateway("kong", 504, {"message": "The upstream server is timing out"}, cause="slow"),
    gateway("kong", 401, {"message": "No API key found in request"}, cause="key"),
    gateway("envoy", 503, "upstream connect error or disconnect/reset before headers"),
    gateway("envoy", 503, "no healthy upstream", {"server": "envoy"}),
    gateway("envoy", 504, "upstream request timeout", {"server": "envoy"}, cause="slow"),
    gateway("envoy", 401, "Jwt issuer is not configured", {"server": "envoy"}, cause="key"),
    gateway("nginx", 502, NGINX, {"server": "nginx", **PAGE}),
    gateway("nginx", 404, NGINX.replace("502 Bad Gateway", "404 Not Found"), PAGE),
    gateway("traefik", 404, "404 page not found\n", {"content-type": "text/plain"}),
    gateway("traefik", 502, "Bad Gateway", {}),
    gateway("caddy", 502, "", {"server": "Caddy"}),
    gateway("cloudflare", 403, BLOCKED, {"server": "cloudflare", "cf-ray": "x", **PAGE}),
    gateway("cloudflare", 200, "<!DOCTYPE html><title>Just a moment", {"cf-mitigated": "challenge", **PAGE}),
    gateway("cloudflare", 522, "error code: 522", {"server": "cloudflare"}, cause="network"),
    gateway("cloudfront", 403, "<HTML>Generated by cloudfront", {"x-cache": "Error from cloudfront", **PAGE}),
    gateway("google", 502, HTML, {"via": "1.1 google", **PAGE}),
    gateway("google", 429, "Rate exceeded.", {"server": "Google Frontend", **PAGE}),
    gateway("azure", 503, "<h2>Our services aren't available right now</h2>", {"x-azure-ref": "x", **PAGE}),
    gateway("azure", 502, NGINX.replace("nginx/1.25.3", "Microsoft-Azure-Application-Gateway/v2"), PAGE),
    gateway("aws", 403, {"message": "Missing Authentication Token"}, {"x-amzn-errortype": "x", **JSON}),
    gateway("aws", 502, {"message": "Internal server error"}, {"x-amzn-errortype": "x", **JSON}),
    gateway("ngrok", 404, "The endpoint is offline.\r\n\r\nERR_NGROK_3200\r\n", {"content-type": "text/plain"}),
    gateway("ngrok", 200, HTML, {"ngrok-error-code": "ERR_NGROK_6024", **PAGE}),
    gateway("heroku", 503, HTML.replace("<body>", '<iframe src="//www.herokucdn.com/error-pages/">'), PAGE),
    gateway("render", 502, HTML, {"x-render-routing": "dynamic-paid-error", **PAGE}),
    gateway("fly", 503, "", {"server": "Fly/1"}),
    gateway("bunny", 502, HTML, {"server": "BunnyCDN-DE1", **PAGE}),
    gateway("squid", 503, HTML, {"x-squid-error": "ERR_CONNECT_FAIL 111", **PAGE}),
    gateway("varnish", 503, "<html>Guru Meditation: Varnish cache server", PAGE),
    gateway("fastly", 503, "<html>Guru Meditation: Varnish cache server", {"x-served-by": "cache-fra", **PAGE}),
    gateway("iis", 503, HTML, {"server": "Microsoft-HTTPAPI/2.0", **PAGE}),
    gateway("imperva", 403, HTML, {"x-iinfo": "1-2", **PAGE}),
    gateway("supabase", 404, {"error": "requested path is invalid"}),
    gateway("envoy", 429, "local_rate_limited", {"server": "envoy"}),
    gateway("kubernetes", 404, "default backend - 404", {"content-type": "text/plain"}),
    gateway("google", 404, "response 404 (backend NotFound), service rules for the path non-existent", {}),
    gateway("object storage", 403, '<?xml version="1.0"?>\n<Error><Code>AccessDenied</Code></Error>', {}),
    gateway("object storage", 403, "<Error><Code>InvalidToken</Code><Message>The token", {"server": "AmazonS3"}),
    gateway("object storage", 405, "", {"server": "AmazonS3", "allow": "GET, HEAD"}),
    gateway("web framework", 404, {"message": "Cannot POST /functions/v1/x", "error": "Not Found"}),
    gateway("web framework", 404, {"message": "Route POST:/functions/v1/x not found", "statusCode": 404}),
    gateway("web framework", 404, {"status": 404, "error": "Not Found", "path": "/functions/v1/x"}),
    gateway("web framework", 404, {"message": "The route functions/v1/x could not be found."}),
    gateway("web framework", 404, {"code": "PGRST125", "message": "Invalid path specified in request URL"}),
    gateway("web framework", 404, {"message": "Could not find the table 'public.functions' in the schema cache"}),
    gateway("web framework", 404, '{"detail":"Not Found"}'),
    gateway("cloudflare", 524, "error code: 524", {"server": "cloudflare"}, cause="slow"),
    # http to a port of TLS, and a proxy on the way
    Answer("network", 400, "Client sent an HTTP request to an HTTPS server.\n", {}),
    gateway(
        "nginx",
        400,
        NGINX.replace("502 Bad Gateway", "400 The plain HTTP request was sent to HTTPS port"),
        PAGE,
        "network",
    ),
    Answer("gateway", 407, "Proxy Authentication Required", {}),
    # an error page of nobody in particular
    gateway("web page", 503, HTML, PAGE),
    gateway("web page", 403, HTML, PAGE),
    Answer("function", 500, HTML, PAGE, "web page"),
    Answer("gateway", 502, "", {}),
    Answer("gateway", 540, "", {}),
]
FUNCTION = [
    # a proxy's name in a header says only through whom the function's own answer came
    failed({"error": "boom"}, 500, headers={"via": "kong/2.8.1", "x-kong-upstream-latency": "7"}),
    failed({"error": "no such device"}, 404, headers={"server": "envoy", "x-envoy-upstream-service-time": "3"}),
    failed({"error": "busy"}, 503, headers={"x-deno-execution-id": "1", **JSON}, by="function"),
    failed("boom", 500, headers={"sb-error-code": "EDGE_FUNCTION_ERROR"}, by="platform"),
    good("stated", {"ok": True}, headers={"server": "cloudflare", "via": "1.1 Caddy", **JSON}),
    *(
        failed({"error": "boom"}, 500, headers={**passed_on, **JSON})
        for passed_on in (
            {"x-iinfo": "1-2"},
            {"server": "Sucuri/Cloudproxy", "x-sucuri-id": "1"},
            {"server": "Heroku"},
            {"x-azure-ref": "x"},
            {"server": "BunnyCDN-DE1"},
            {"server": "Fly/1"},
            {"server": "Google Frontend", "via": "1.1 google"},
            {"x-varnish": "3"},
        )
    ),
    # and what only sounds like somebody else's
    failed({"detail": "Not found: device 7"}, 404),
    failed({"error": "Could not find the table 'public.device_functions' in the schema cache"}, 404),
    # a text with another status is the usual form
    failed("Error: boom", 500),
    failed({"error": "requested path is invalid", "path": "in the bucket of the organization"}, 404),
    failed({"error": "rate limited by the partner"}, 429),
    failed({"error": "local_rate_limited"}, 429),
    failed({"message": "Cannot POST /auto-sync-cron", "error": "Not Found"}, 404),
    failed({"error": "https://x.supabase.co/functions/v1/other: 404 not found"}, 404),
    failed({"error": "edge function config for org 12 not found"}, 404),
    failed({"error": "missing entrypoint parameter of the report"}, 500),
    failed({"msg": "InvalidWorkerCreation: worker boot error: Uncaught SyntaxError: x"}, 500),
    failed({"error": "the plain HTTP request was refused"}, 400),
    failed("boom", 500, headers=PAGE),
    failed("FUNCTION_INVOCATION_FAILED", 500, headers={"x-vercel-error": "FUNCTION_INVOCATION_FAILED"}, by="function"),
    failed(
        "<title>Worker threw exception | Cloudflare</title><div id=cf-wrapper>",
        500,
        headers={"server": "cloudflare", **PAGE},
        by="function",
    ),
    good("stated", {"ok": True, "note": "Imperva, ERR_NGROK_3200"}, headers={"x-iinfo": "1", **JSON}),
]
KEYS = [
    Answer("key", 401, {"message": "Legacy API keys are disabled"}, by="platform"),
    Answer("key", 401),
    Answer("key", 403, {"error": "the service role key is needed"}),
    Answer("key", 401, {"error": "missing x-autosync-cron-secret"}),
    failed({"error": "Stripe: Invalid API Key provided"}, 401),
    failed({"error": "upstream said 403"}, 403),
    failed({"message": "new row violates row-level security policy"}, 403),
    failed({"error": "your IP is not allowed"}, 403),
    failed("CSRF token missing", 403, headers=PAGE),
    failed({"message": "You have exceeded a secondary rate limit"}, 403),
    failed({"error": "invalid_grant", "error_description": "Token has been expired or revoked."}, 401),
    failed({"error": "OAuth refresh token was revoked"}, 401),
    failed({"error": "Strava access token expired"}, 401),
    failed({"error": "Mailchimp: API key invalid"}, 401),
    failed({"error": "Acme: API key invalid"}, 401),
    failed({"error": "Acme access token expired"}, 401),
    *(
        Answer("key", 401, {"error": words})
        for words in (
            "Unauthorized: API key missing",
            "Error: Invalid API key",
            "AuthError: API key",
            "Invalid API key",
            "Expired access token",
            "Supabase API key missing",
            "invalid_token",
            "shopify-sync: not authorized",
            "Stripe is called by the service role alone",
        )
    ),
    Answer("key", 401, "Unauthorized", PAGE),
    Answer("key", 401, {"message": "Unregistered API key", "hint": "This API key has been deleted"}),
    Answer("key", 401, {"message": "Suspended API key"}),
    # as @supabase/server 1.8 says it
    Answer(
        "key",
        401,
        {
            "source": "@supabase/server",
            "code": "INVALID_API_KEY",
            "message": '[@supabase/server] The apikey header matched no key configured for auth mode(s): "secret".',
            "docs": "https://github.com/supabase/server/blob/main/docs/error-handling.md#invalid_api_key",
        },
    ),
    failed({"message": "Invalid login credentials"}, 401),
    failed({"statusCode": 401, "name": "restricted_api_key", "message": "This API key may only send emails"}, 401),
    failed({"errors": [{"message": "The provided authorization grant is invalid, expired, or revoked"}]}, 401),
    failed({"type": "error", "error": {"type": "authentication_error", "message": "invalid x-api-key"}}, 401),
    failed({"message": "The security token included in the request is expired"}, 403),
    failed({"message": "Your IP address is not in the allow list of this project"}, 403),
    Answer("missing", 404, "Function not found"),
    Answer("missing", 404, {"code": "NOT_FOUND", "message": "Requested function was not found"}),
    Answer("missing", 500, {"msg": "InvalidWorkerCreation: worker boot error: failed to determine entrypoint"}),
]
CASES = [*STATED, *UNPROVEN, *EXPECTED, *GATEWAYS, *FUNCTION, *KEYS]


@pytest.fixture(scope="module")
def seen(shared: Cluster) -> Iterator[list[tuple[Any, ...]]]:
    """What the ledger says of each case, asked in one statement and rolled back."""
    with psycopg.connect(shared.url("supabase_admin").reveal()) as connection:
        connection.execute("select autosync.begin_epoch()")
        for number, case in enumerate(CASES, 1):
            body = case.body if isinstance(case.body, str) else json.dumps(case.body)
            connection.execute(
                "insert into autosync.job (name, function, schedule, expect) values (%s, 'fn', '* * * * *', %s)",
                [f"case-{number}", Jsonb(case.expect) if case.expect else None],
            )
            connection.execute(
                "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, epoch)"
                " select j.id, %s, 1000, autosync.pg_net_epoch() from autosync.job as j where j.name = %s",
                [10_000_000 + number, f"case-{number}"],
            )
            connection.execute(
                "insert into net._http_response (id, status_code, headers, content, timed_out, created)"
                " values (%s, %s, %s, %s, false, clock_timestamp())",
                [10_000_000 + number, case.status, Jsonb(case.headers), body],
            )
        yield connection.execute(
            "select o.cause, o.answered_by, o.proof, o.error_message, f.passed, f.failed"
            " from generate_series(1, %s) as n"
            " cross join lateral autosync.recent_outcomes('case-' || n, 1) as o"
            " cross join lateral autosync.call_findings('case-' || n) as f order by n",
            [len(CASES)],
        ).fetchall()
        connection.rollback()


@pytest.mark.parametrize("number", range(len(CASES)), ids=lambda n: f"{CASES[n].status} {str(CASES[n].body)[:40]}")
def test_an_answer_is_taken_for_what_it_is(number: int, seen: list[tuple[Any, ...]]) -> None:
    case, (cause, by, proof, message, passed, text) = CASES[number], seen[number]
    assert (cause, by, proof) == (case.cause, case.by, case.proof), (message, text)
    if proof in {"empty", "text", "silent", "long"}:
        assert "unproven: " in passed
        assert 'answer {"ok": true} to prove it' in passed
    elif cause == "ok":
        assert "unproven" not in passed
    elif case.body and isinstance(case.body, str):
        assert " ".join(case.body.split())[:20] in " ".join(text.split()), "the answer's own words"


# words, names and shapes that the rules look for, and others
_NAMES = st.sampled_from(
    re.findall(
        r"\S+",
        "ok success Is_OK status state result code statusCode error errors err exception failed failures error_count"
        " isError errcode errmsg msg detail details hint stack sucesso éxito статус"
        " type passed completed reason next_cursor previous_run bounced attempted"
        " total processed succeeded synced sent duration_ms page retries message results runs jobs data summary x",
    )
)
_WORDS = st.text(max_size=4) | st.sampled_from(
    [
        "true",
        "false",
        "ok",
        "OK",
        "failed",
        "error",
        "timed-out",
        "done",
        "none",
        "no",
        "0",
        "500",
        "200",
        "401",
        "queued",
        "denied",
        "DOWN",
        "échec",
        "rejected",
        "error: x",
        "Error\n    at x",
        "yes",
    ]
)
_PLAIN = st.none() | st.booleans() | st.integers(-2, 600) | st.floats(allow_nan=False, allow_infinity=False) | _WORDS
_SAID = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_NAMES | st.text(max_size=3), inner, max_size=4),
    max_leaves=12,
)
_WHOLE = (st.dictionaries(_NAMES, _SAID, max_size=5) | st.lists(_SAID, max_size=3)).map(json.dumps)
# with what jsonb does not hold, cut off, as a text of JSON, as events
_BENT = st.tuples(
    _WHOLE, st.sampled_from(["NaN", "\\u0000", "\\ud83d", "1e999999", "1e-99999", "\\\\", "}"]), st.integers(0, 60)
).map(lambda one: one[0][: one[2]] + one[1] + one[0][one[2] :]) | st.tuples(_WHOLE, st.integers(0, 60)).map(
    lambda one: one[0][: one[1]]
)
_BODIES = _WHOLE | _BENT | _WHOLE.map(json.dumps) | st.text()


def test_python_says_the_same_of_an_answer(shared: Cluster) -> None:
    """audit judges outside of the database, because it may not make a function there."""
    with psycopg.connect(shared.url("supabase_admin").reveal(), autocommit=True) as connection:

        def agree(status: int, headers: dict[str, str], body: str) -> None:
            row = connection.execute(
                "select f ->> 'json' = 'true', f ->> 'is', f ->> 'error', autosync.answered_by(%s, %s, %s)"
                " from (select autosync.answer_facts(%s) as f) as facts",
                [status, Jsonb(headers), body, body],
            ).fetchone()
            assert row is not None
            is_json, stated = answers.stated(body)
            known = None if stated is None else "good" if stated.is_good else "failed"
            assert (is_json, known) == (bool(row[0]), row[1]), body
            assert answerers.answered_by(status, headers, body) == row[3]

        for case in CASES:
            agree(case.status, case.headers, case.body if isinstance(case.body, str) else json.dumps(case.body))

        @settings(max_examples=400)
        @given(
            st.sampled_from([200, 404, 503]),
            _BODIES.filter(lambda body: "\0" not in body and body.isprintable())
            | st.tuples(st.sampled_from(["error", "x", "failed"]), _WHOLE, st.sampled_from(["[DONE]", "", "{}"])).map(
                lambda one: "event: {}\ndata: {}\n\ndata: {}\n".format(*one)
            ),
        )
        def at_random(status: int, body: str) -> None:
            agree(status, {}, body)

        at_random()
