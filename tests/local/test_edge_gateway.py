"""The local edge runtime as a gateway: routes, verify_jwt, and functions that do not start, crash or hang."""

from __future__ import annotations

import os
import signal
import time
from functools import partial
from pathlib import Path

import pytest

from tests.support import clusters
from tests.support.edge import Edge, Keys, StartEdge

ECHO = """
Deno.serve(async (request) => {
  const url = new URL(request.url);
  return Response.json({
    method: request.method, path: url.pathname, search: url.search,
    headers: Object.fromEntries(request.headers),
    body: await request.text(),
  }, { status: 201, headers: { "x-own": "kept" } });
});
"""
SOURCES = {
    "echo": ECHO,
    "modern": "export default { fetch: () => new Response('modern') };",
    "environment": """
        Deno.serve((request) => {
          const names = new URL(request.url).searchParams.getAll("name");
          return Response.json(names.map((name) => Deno.env.get(name) ?? null));
        });""",
    "forbidden": """
        Deno.serve(async () => {
          const tried = [
            () => Deno.readTextFile("/etc/hostname"), () => Deno.writeTextFile("x", "x"),
            () => new Deno.Command("true").output(),
          ];
          const results = await Promise.allSettled(tried.map((attempt) => Promise.resolve().then(attempt)));
          return Response.json(results.map((result) => result.status));
        });""",
    "broken": "this is not typescript(",
    "silent": "export const nothing = 1;",
    "throws-at-start": "throw new Error('no start');",
    "throws": "Deno.serve(() => { throw new Error('in the handler'); });",
    "crashes": """
        Deno.serve((request) => {
          if (request.method === "POST") Deno.exit(3);
          return Response.json({ pid: Deno.pid });
        });""",
    "hangs": "Deno.serve(() => new Promise(() => {}));",
    "background": """
        declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void };
        let done = false;
        Deno.serve(() => {
          const work = new Promise((resolve) => setTimeout(resolve, 50)).then(() => { done = true; });
          EdgeRuntime.waitUntil(work);
          return Response.json({ done });
        });""",
    "slow-background": """
        declare const EdgeRuntime: { waitUntil(work: Promise<unknown>): void };
        Deno.serve(async (request) => {
          const seconds = Number(await request.text());
          EdgeRuntime.waitUntil(new Promise((resolve) => setTimeout(resolve, seconds * 1000)).then(() => {
            console.log(`the background work of ${seconds} s is done`);
          }));
          return Response.json({ pid: Deno.pid });
        });""",
    "calls-itself": """
        Deno.serve(async () => {
          const url = `${Deno.env.get("SUPABASE_URL")}/functions/v1/echo`;
          const answer = await fetch(url, { method: "POST", body: "echoed" });
          return new Response((await answer.json()).body);
        });""",
    "changing": "Deno.serve(() => new Response('before'));",
    "_shared": "Deno.serve(() => new Response('must not be reachable'));",
}


@pytest.fixture(scope="module")
def functions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("gateway") / "functions"
    for name, source in SOURCES.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "index.ts").write_text(source)
    return folder


@pytest.fixture(scope="module")
def edge(start_edge: StartEdge, functions: Path, keys: Keys) -> Edge:
    environment = {
        "AUTOSYNC_VERIFY_JWT": "false",
        "AUTOSYNC_WALL_CLOCK_MS": "1500",
        "SUPABASE_ANON_KEY": keys.token("anon"),
        "SUPABASE_SERVICE_ROLE_KEY": keys.token("service_role"),
        "AUTOSYNC_JWT_SECRET": keys.jwt_secret,
    }
    return start_edge(functions, environment, {"OWN": '"a value"', "SUPABASE_URL": "not-this"})


@pytest.fixture(scope="module")
def guarded(start_edge: StartEdge, functions: Path, keys: Keys) -> Edge:
    environment = {"AUTOSYNC_JWT_SECRET": keys.jwt_secret, "AUTOSYNC_VERIFY_JWT": "true,modern=false"}
    return start_edge(functions, environment)


def test_request_and_answer_pass_through_whole(edge: Edge) -> None:
    headers = {"apikey": "k", "authorization": "Bearer t", "x-custom": "c"}
    answer = edge.call("echo/deeper?a=1&b=%20", headers=headers, content='{"x": "ü"}')
    assert (answer.status_code, answer.headers["x-own"]) == (201, "kept")
    seen = answer.json()
    assert (seen["method"], seen["path"], seen["search"], seen["body"]) == (
        "POST",
        "/echo/deeper",
        "?a=1&b=%20",
        '{"x": "ü"}',
    )
    assert headers.items() <= seen["headers"].items()
    assert seen["headers"]["x-forwarded-for"] == "127.0.0.1"
    assert seen["headers"]["x-forwarded-proto"] == "http"
    assert seen["headers"]["x-forwarded-port"] == str(edge.port)
    assert edge.call("echo", "GET").json()["body"] == ""


def test_functions_with_a_default_export_are_served(edge: Edge) -> None:
    assert edge.call("modern").text == "modern"


def test_function_sees_its_own_variables_and_no_others(edge: Edge, keys: Keys) -> None:
    names = [
        "SUPABASE_URL",
        "SUPABASE_ANON_KEY",
        "SUPABASE_SERVICE_ROLE_KEY",
        "OWN",
        "AUTOSYNC_JWT_SECRET",
        "PATH",
        "HOME",
    ]
    values = edge.call("environment", params={"name": names}).json()
    assert values == [
        f"http://127.0.0.1:{edge.port}",
        keys.token("anon"),
        keys.token("service_role"),
        "a value",
        None,
        None,
        None,
    ]


def test_function_may_neither_read_write_nor_run(edge: Edge) -> None:
    assert edge.call("forbidden").json() == ["rejected"] * 3


def test_unknown_function_is_not_found(edge: Edge) -> None:
    for name in ("missing", "_shared", "%2e%2e%2fx", "echo%2f..%2fecho", "deno.json"):
        answer = edge.call(name)
        assert (answer.status_code, answer.headers["sb-error-code"]) == (404, "NOT_FOUND"), name
        assert answer.json() == {"code": "NOT_FOUND", "message": "Requested function was not found"}


def test_function_that_does_not_start_is_a_boot_error(edge: Edge) -> None:
    for name in ("broken", "silent", "throws-at-start", "throws-at-start"):
        answer = edge.call(name)
        assert (answer.status_code, answer.headers["sb-error-code"]) == (503, "BOOT_ERROR"), name
        assert edge.client.get("/health").json()["functions"][name]["state"] == "failed"
        clusters.wait_for(partial(_has_logged, edge, name), f"{name} in the log")


def _has_logged(edge: Edge, name: str) -> bool:
    return any(line.startswith(f"[{name}]") for line in edge.log)


def test_exception_in_a_handler_is_a_function_error(edge: Edge) -> None:
    answer = edge.call("throws")
    assert (answer.status_code, answer.headers["sb-error-code"]) == (500, "EDGE_FUNCTION_ERROR")
    assert "in the handler" not in answer.text


def test_crash_is_a_worker_error_and_the_next_call_works(edge: Edge) -> None:
    first = edge.call("crashes", "GET").json()["pid"]
    answer = edge.call("crashes")
    assert (answer.status_code, answer.headers["sb-error-code"]) == (500, "WORKER_ERROR")
    assert edge.call("crashes", "GET").json()["pid"] != first


def test_worker_that_died_between_calls_is_started_again(edge: Edge) -> None:
    first = edge.call("crashes", "GET").json()["pid"]
    os.kill(first, signal.SIGKILL)
    clusters.wait_for(
        lambda: edge.client.get("/health").json()["functions"]["crashes"]["state"] == "exited",
        "it is seen dead",
    )
    assert edge.call("crashes", "GET").json()["pid"] != first


def test_silence_beyond_the_wall_clock_is_an_idle_timeout(edge: Edge) -> None:
    started = time.monotonic()
    answer = edge.call("hangs")
    assert (answer.status_code, answer.headers["sb-error-code"]) == (504, "IDLE_TIMEOUT")
    assert 1.4 < time.monotonic() - started < 5


def test_background_work_goes_on_after_the_answer(edge: Edge) -> None:
    assert edge.call("background").json() == {"done": False}
    clusters.wait_for(lambda: edge.call("background").json()["done"], "the background work is done")


def test_changed_function_is_served_as_it_is_now(edge: Edge, functions: Path) -> None:
    assert edge.call("changing").text == "before"
    (functions / "changing" / "index.ts").write_text("Deno.serve(() => new Response('after the change'));")
    assert edge.call("changing").text == "after the change"


def test_a_changed_function_still_ends_its_background_work(edge: Edge, functions: Path) -> None:
    first = edge.call("slow-background", content="1").json()["pid"]
    (functions / "slow-background" / "index.ts").write_text(SOURCES["slow-background"] + "\n// changed\n")
    assert edge.call("slow-background", content="0").json()["pid"] != first
    clusters.wait_for(lambda: "the background work of 1 s is done" in "".join(edge.log), "the work of the old one")
    clusters.wait_for(lambda: not Path(f"/proc/{first}").exists(), "the end of the old one")


def test_proxy_of_the_machine_is_not_used_for_functions(start_edge: StartEdge, functions: Path) -> None:
    proxy = {
        "HTTP_PROXY": "http://127.0.0.1:9",
        "http_proxy": "http://127.0.0.1:9",
        "NO_PROXY": "example.com",
    }
    edge = start_edge(functions, {"AUTOSYNC_VERIFY_JWT": "false", **proxy})
    assert edge.call("calls-itself").text == "echoed"


def test_health_lists_the_functions(guarded: Edge) -> None:
    body = guarded.client.get("/health").json()
    assert body["ok"] is True
    assert set(body["functions"]) == set(SOURCES) - {"_shared"}
    assert body["functions"]["hangs"] == {"state": "idle"}


def test_verify_jwt_judges_as_the_platform_does(guarded: Edge, keys: Keys) -> None:
    for header, code in (
        (None, "UNAUTHORIZED_NO_AUTH_HEADER"),
        ("Bearer sb_secret_something", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        ("Basic abc", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        ("Bearer a.b.c", "UNAUTHORIZED_INVALID_JWT_FORMAT"),
        (f"Bearer {keys.token('service_role', secret='y' * 32)}", "UNAUTHORIZED_LEGACY_JWT"),
        (f"Bearer {keys.token('service_role', lifetime=-60)}", "UNAUTHORIZED_LEGACY_JWT"),
        (
            f"Bearer {keys.token('service_role', algorithm='HS512')}",
            "UNAUTHORIZED_UNSUPPORTED_TOKEN_ALGORITHM",
        ),
    ):
        headers = {"apikey": "sb_secret_something", **({"authorization": header} if header else {})}
        answer = guarded.call("echo", headers=headers)
        assert (answer.status_code, answer.headers["sb-error-code"]) == (401, code)
    for role in ("anon", "authenticated", "service_role"):
        assert guarded.call("echo", headers={"authorization": f"Bearer {keys.token(role)}"}).status_code == 201


def test_verify_jwt_can_be_off_for_one_function(guarded: Edge) -> None:
    assert guarded.call("modern").status_code == 200


@pytest.mark.parametrize("ending", [signal.SIGTERM, signal.SIGKILL])
def test_functions_end_with_the_runtime(start_edge: StartEdge, functions: Path, ending: signal.Signals) -> None:
    edge = start_edge(functions, {"AUTOSYNC_VERIFY_JWT": "false"})
    pid = edge.call("crashes", "GET").json()["pid"]
    assert pid in edge.worker_pids()
    started = time.monotonic()
    edge.process.send_signal(ending)
    edge.process.wait(timeout=5)
    clusters.wait_for(
        lambda: not Path(f"/proc/{pid}").exists() or "State:\tZ" in Path(f"/proc/{pid}/status").read_text(),
        "it ends",
    )
    assert time.monotonic() - started < 3
    if ending is signal.SIGTERM:
        assert edge.process.returncode == 0
