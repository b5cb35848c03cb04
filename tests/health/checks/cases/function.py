"""The Edge Function and the gateway before it."""

from autosync_db.health.model import Status
from tests.health.actions import Action, answers, answers_again, carried, expecting, sql, stored, switch_off, unanswered
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import health, keys
from tests.support.health import Project

_KEY = keys.legacy().reveal()
_REFUSALS: dict[str, tuple[int, str | None, object]] = {
    "by the gateway, as a legacy key": (401, "UNAUTHORIZED_LEGACY_JWT", {"message": "Invalid JWT"}),
    "by the gateway, as none": (401, "UNAUTHORIZED_NO_AUTH_HEADER", {"message": "Missing authorization header"}),
    "by the function": (403, None, {"error": "not a service key"}),
}


def _names(function: str) -> Action[Project]:
    """Return what looks whether the remedy names the function alone; it is served on this machine."""

    def act(project: Project) -> None:
        remedy = health.result_of(project.report(["function_deployed"], "postgres"), "function_deployed").remedy
        assert f"put {function} into the folder" in (remedy or ""), remedy

    return act


_MISSING: dict[str, tuple[int, str | None, object]] = {
    "on the platform": (404, "NOT_FOUND", {"code": "NOT_FOUND", "message": "Requested function was not found"}),
    "in the platform's store": (404, "NOT_FOUND_FUNCTION_BLOB", ""),
    "in the local CLI": (404, None, "Function not found"),
    "where one hosts oneself": (
        500,
        None,
        {"msg": "InvalidWorkerCreation: worker boot error: could not find an appropriate entrypoint"},
    ),
}
_FAILURES: tuple[tuple[int, str | None, object], ...] = (
    (500, "WORKER_ERROR", {"error": "column nope does not exist"}),
    (503, "BOOT_ERROR", {"error": "nope: function failed to start"}),
    (546, "WORKER_LIMIT", {"error": "nope: CPU time exceeded"}),
    (200, None, {"ok": False, "error": "nope"}),
)
_OWN = carried("secret", url="https://api.example.com/cron")
_NO_HEADER = answers(401, {"message": "Missing authorization header"}, "UNAUTHORIZED_NO_AUTH_HEADER")


def _unreported(project: Project) -> None:
    """Let the function take the job on, and never say how it went."""
    project.owner.execute("update autosync.job set reports_within = '1 minute' where drains is not null")
    project.stub.answer(202, {"accepted": True})
    project.tick()
    project.owner.execute("update autosync.invocation set report_due_at = now() where outcome = 'accepted'")
    project.owner.execute("select autosync.end_unreported(10)")


def _works_on(project: Project) -> None:
    """Let the function take a call on, whose report is not due yet."""
    project.owner.execute("update autosync.job set reports_within = '15 minutes' where drains is not null")
    project.stub.answer(202, {"accepted": True})
    project.tick()


def _repeated(ticks: int = 1, *, under_way: bool = False) -> Action[Project]:
    """Return what lets a gateway refuse the calls of so many ticks, which are repeated; one may be under way again."""

    def act(project: Project) -> None:
        project.owner.execute(
            "update autosync.job set retry_attempts = 3, retry_wait = '1 minute' where drains is not null"
        )
        answers(503, "busy", ticks=ticks)(project)
        if under_way:
            project.owner.execute("update autosync.invocation set retry_at = now() where retry_at is not null")
            assert project.value("select autosync.retry_calls(10)") == 1

    return act


_ALONE = sql("update net._http_response set created = created - interval '10 minutes'")


def _timed_out(dns: float, handshake: float, http: float) -> Action[Project]:
    return unanswered(
        f"Timeout of 30000 ms reached. Total time: 30001.5 ms (DNS time: {dns:f} ms,"
        f" TCP/SSL handshake time: {handshake:f} ms, HTTP Request/Response time: {http:f} ms)",
        timed_out=True,
    )


def _slow(seconds: float) -> Action[Project]:
    """Return what lets the function take so long where calls may take a second."""

    def act(project: Project) -> None:
        project.owner.execute("update autosync.job set timeout_milliseconds = 1000")
        project.stub.answer(delay_seconds=seconds)
        project.tick()

    return act


# as @supabase/server 1.8 says it
_WITH_SUPABASE = {
    "source": "@supabase/server",
    "code": "INVALID_API_KEY",
    "message": '[@supabase/server] The apikey header matched no key configured for auth mode(s): "secret".',
    "docs": "https://github.com/supabase/server/blob/main/docs/error-handling.md#invalid_api_key",
}

CASES: dict[str, tuple[Case, ...]] = {
    "function_accepts_key": (
        *(
            failed(
                f"the key is refused {where}",
                answers(status, body, code, ticks=2),
                says=f"function auto-sync-cron: 2 of the last 3 calls were refused with {status} {code or ''}".rstrip(),
                explains=("function_succeeds",),
            )
            for where, (status, code, body) in _REFUSALS.items()
        ),
        failed("and it is said how old the key is", answers(401), says="the key was last changed"),
        unseen(
            "the key was replaced since",
            answers(401, {}, "UNAUTHORIZED_LEGACY_JWT"),
            stored(service_role_key=keys.secret()),
            says="no call was made with it since",
        ),
        failed(
            "the key has expired",
            stored(service_role_key=keys.legacy(expires_in=-60)),
            answers(401, {}, "UNAUTHORIZED_LEGACY_JWT"),
            says="UNAUTHORIZED_LEGACY_JWT",
            blocked_by=("service_key_valid",),
        ),
        failed(
            "a secret of the job's own is refused",
            _OWN,
            answers(401, {"error": "invalid token"}),
            says="refused with 401",
            reason="own_secret",
        ),
        failed(
            "the job carries nothing",
            carried("none"),
            answers(401, {"error": "no"}),
            says="401",
            reason="no_credential",
        ),
        failed(
            "a gateway wants a key beside the job's own secret",
            carried("secret"),
            _NO_HEADER,
            says="UNAUTHORIZED_NO_AUTH_HEADER",
            reason="gateway_key",
        ),
        failed(
            "a gateway wants a JWT, and the key is none",
            stored(service_role_key=keys.secret()),
            _NO_HEADER,
            says="UNAUTHORIZED_NO_AUTH_HEADER",
            reason="verify_jwt",
        ),
        *(
            failed(
                f"withSupabase() takes another key: {reason}",
                stored(service_role_key=key),
                answers(401, _WITH_SUPABASE),
                says="matched no key configured",
                reason=reason,
            )
            for key, reason in ((keys.secret(), "default_key"), (keys.legacy(), "legacy_disabled"))
        ),
        fine("another key was accepted", answers(401), stored(service_role_key=keys.legacy()), answers_again),
        fine("a later call was accepted and works on", answers(401), _works_on, says="answered 202"),
        fine("the function failed with the word of somebody else", answers(500, {"error": "device-sync answered 401"})),
    ),
    "function_answers_in_time": (
        failed(
            "the timeout ended before the function did",
            _slow(1.6),
            says="1 of the last 2 calls got no answer in time",
            explains=("function_deployed", "function_succeeds"),
        ),
        failed(
            "the platform gave it up",
            answers(504, {"message": "idle timeout"}, "IDLE_TIMEOUT"),
            says="504 IDLE_TIMEOUT",
            reason="gateway",
        ),
        failed("the time went into the function", _ALONE, _timed_out(4.1, 80.2, 29900.7), says="got no answer in time"),
        failed(
            "for a slow answer on an open connection pg_net counts all the time as lookup",
            # the connection is as old as the last answer
            lambda project: project.call(),
            _timed_out(30001.5, 0, 0),
            says="over a connection that was open already",
        ),
        *(
            Case(f"the time went into {what}", (_ALONE, _timed_out(*times)), Status.UNKNOWN, blocked_by=(cause,))
            for what, times, cause in (
                ("the handshake", (4.1, 29997.4, 0), "project_url_reachable"),
                ("the lookup", (30001.5, 0, 0), "project_url_resolves"),
            )
        ),
        failed("it did not report", _unreported, says="202 (it may still be at work)", reason="report"),
        fine("an answer just in time", _slow(0.9)),
        fine(
            "a longer timeout", _slow(1.6), sql("update autosync.job set timeout_milliseconds = 20000"), answers_again
        ),
    ),
    "function_reached": (
        fine("a call is repeated that failed once", _repeated(), says="answered 200"),
        fine("and is under way again", _repeated(under_way=True), says="answered 200"),
        failed("those of two ticks are", _repeated(2), says="2 of the last 3 calls", explains=("function_succeeds",)),
        failed(
            "one is, and no call went well before",
            sql("delete from autosync.invocation"),
            _repeated(),
            says="1 of the last 1 calls",
        ),
        failed(
            "one was to be repeated, and nobody does it",
            _repeated(),
            sql("update autosync.invocation set retry_at = now() - interval '1 hour' where retry_at is not null"),
            says="1 of the last 2 calls",
        ),
        *(
            failed(what, answers(status, body), says=says, explains=("function_deployed", "function_succeeds"))
            for what, status, body, says in (
                (
                    "a web page answers",
                    200,
                    "<!doctype html><html></html>",
                    "a web page answered, not the function",
                ),
                ("no route", 404, {"message": "no Route matched with those values"}, "the gateway (kong) has no route"),
                ("the gateway reaches nobody", 503, "no healthy upstream", "the gateway (envoy) answered"),
                ("a gateway without a name", 502, "", "the gateway answered, the function never ran"),
                ("the project is paused", 540, "", "the project is paused"),
                ("a proxy wants a credential", 407, "", "a proxy on the way wants a credential of its own"),
            )
        ),
        *(
            failed(
                "the job's own address leads elsewhere", _OWN, answers(status, body), says="answered", reason="own_url"
            )
            for status, body in ((200, "<!doctype html><html></html>"), (404, "404 page not found\n"))
        ),
        *(
            failed(
                f"a gateway refuses the call itself with {status}", answers(status, page), says="nginx", reason=reason
            )
            for status, page, reason in (
                (405, "<center>nginx</center>", "no_route"),
                (414, "<center>nginx</center>", "refused"),
                (503, "<center>nginx</center>", ""),
            )
        ),
        failed(
            "the Data API of the project is at the address",
            answers(404, {"code": "PGRST125", "message": "Invalid path specified in request URL"}),
            says="has no route to functions at that address",
            reason="no_route",
        ),
        failed("the job's own host is ill", _OWN, answers(502, ""), says="502", reason=""),
        fine("the function answers 503 itself", answers(503, {"error": "busy"})),
        fine("the function answers 404 itself", answers(404, {"error": "no such device"})),
        fine("it was put right", answers(502, ""), answers_again),
    ),
    "function_deployed": (
        *(
            failed(
                f"there is no such function {where}",
                answers(status, body, code),
                says="function auto-sync-cron: 1 of the last 2 calls found no such function",
                explains=("function_accepts_key", "function_succeeds"),
            )
            for where, (status, code, body) in _MISSING.items()
        ),
        failed(
            "a function that is called with a sub-path and a query",
            sql("update autosync.job set function = 'auto-sync-cron/stats?mode=daily' where drains is not null"),
            answers(404, "Function not found"),
            says="function auto-sync-cron/stats?mode=daily",
            then=_names("auto-sync-cron"),
        ),
        failed(
            "the job's own address has none",
            _OWN,
            answers(404, "Function not found"),
            says="function https://api.example.com/cron",
            reason="own_url",
        ),
        fine("it was deployed", answers(404, "Function not found"), answers_again),
        fine("the function does not find something", answers(404, {"ok": False, "error": "device not found"})),
    ),
    "function_succeeds": (
        *(
            failed(f"it answers {status} {code}", answers(status, body, code), says="nope")
            for status, code, body in _FAILURES
        ),
        failed("and a later call works on, which may fail again", answers(500), _works_on, says="500"),
        fine("the first call works on", sql("delete from autosync.invocation"), _works_on, says="to report"),
        fine("a later call works on", _works_on, says="answered 200"),
        failed(
            "it, or somebody whom it calls, is called too often",
            answers(429, {"error": "too many requests"}),
            says="429 (the function, or somebody whom it calls, was called too often)",
        ),
        *(
            failed(f"it answers {status} {code}", answers(status, {}, code), says=says, reason=reason)
            for status, code, says, reason in (
                (402, None, "the organization is over its quota", "quota"),
                (503, "BOOT_ERROR", "the function does not start", "boot"),
                (546, "WORKER_LIMIT", "it used up its processor time", "limits"),
                (500, None, "500", ""),
            )
        ),
        failed("one of two", answers(500), says="1 of the last 2 calls failed in the function"),
        failed(
            "a key in its error is not shown",
            answers(500, {"error": f"refused {_KEY}"}),
            says="refused ***",
            hides=_KEY,
        ),
        failed(
            "all of its counts failed",
            answers(200, {"succeeded": 0, "failed": 2}),
            says="it says itself that it failed",
        ),
        *(
            failed(
                f"it answers otherwise than {expect}",
                expecting(expect),
                answers(200, {"state": "open"}),
                says="200 (not what the job's `expect` says)",
                reason="expect",
            )
            for expect in ('{"status": [204]}', '{"json": {"state": "done"}}')
        ),
        *(
            failed(f"PostgREST: {words}", answers(500, {"error": words}), says=words[:40], reason=reason)
            for words, reason in (
                ("Could not find the function public.auto_sync_claim(batch_size) in the schema cache", "schema_cache"),
                ("Could not find the 'timezone' column of 'auto_sync_schedules' in the schema cache", "schema_cache"),
                ("PGRST205: no such table", "schema_cache"),
                ("Could not choose the best candidate function between: public.auto_sync_claim(", "overload"),
                ("the schema was read", ""),
            )
        ),
        failed(
            "a failure in its own words",
            answers(500, {"error": "failed to connect to the shop"}),
            says="failed in the function",
            hides="nobody listens there",
        ),
        failed("a text that is an error", answers(200, "TypeError: null is not an object"), says="TypeError"),
        fine(
            "a success that mentions schedules that failed",
            answers(200, {"ok": True, "duration_ms": 3, "counts": {"claimed": 1, "succeeded": 0, "failed": 1}}),
        ),
        fine("nothing is said of the run", answers(200, {"hello": "world"}), says="unproven: its JSON says neither"),
        fine("an empty answer", answers(200, ""), says="unproven: an empty body"),
        warned("it was switched off after that", answers(500), switch_off, says="before the job was switched off: 500"),
        fine("a failure that was overcome", answers(500), answers_again),
    ),
}
