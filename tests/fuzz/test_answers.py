"""Answers of functions, gateways and the Management API, of which a part may be anything: judged alike everywhere."""

import json
import re
from collections.abc import Iterator
from typing import Any

import httpx
import psycopg
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from autosync_db.errors import UnreachableError
from autosync_db.health.audit import look
from autosync_db.jobs import answerers, answers
from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from autosync_db.supabase.management import Management
from autosync_db.supabase.management_request import Access
from tests.fuzz import inputs
from tests.fuzz.inputs import LEGACY, SECRET, TOKEN, examples, hostile, mutated, refused_or
from tests.support import clusters, keys

_HEADERS: tuple[dict[str, str], ...] = (
    {"content-type": "application/json"},
    {"Content-Type": "text/html"},
    {"server": "cloudflare", "cf-ray": "x"},
    {"sb-error-code": "EDGE_FUNCTION_ERROR"},
    {"location": "https://h.example/x"},
    {"retry-after": "5"},
    {"x-kong-response-latency": "1"},
    {"via": "1.1 google"},
    {"content-type": ""},
    {},
)
_BODIES = (
    '{"ok": true}',
    '{"ok": false, "error": "boom"}',
    '{"status": "failed"}',
    '{"succeeded": 0, "failed": 2}',
    "done",
    '{"results": [{"ok": false}, {"error": "x"}]}',
    "<!DOCTYPE html><title>x</title>",
    '{"step":1}\n{"ok":true}',
    "",
    "[]",
    '{"code": 401, "message": "Invalid JWT"}',
    f'{{"error": "key {SECRET} of {inputs.DATABASE}"}}',
)
_WORDS = ("ok", "success", "error", "errors", "failed", "status", "false", "true", "null", "0", "500", ":", LEGACY)
# what states that the run failed, and cannot be meant otherwise; what may stand beside it
FAILURES = (
    {"ok": False},
    {"success": False},
    {"status": "failed"},
    {"status": "error"},
    {"error": "boom"},
    {"error": {"message": "x"}},
    {"succeeded": 0, "failed": 3},
    {"errors": [{"message": "x"}]},
    {"code": 500, "msg": "internal error"},
)
BESIDE = st.dictionaries(st.sampled_from(["id", "page", "took", "region", "x", "trace_id"]), inputs.JSON, max_size=3)
STATUSES = st.sampled_from([100, 200, 201, 202, 204, 301, 401, 403, 404, 429, 500, 502, 503, 504, 522, 540, 546, 599])
BODIES = mutated(_BODIES, _WORDS) | inputs.JSON.map(json.dumps)


def _kept(body: str) -> str:
    """Return a body as a database can hold it."""
    return body.replace("\0", "").encode("utf-8", "replace").decode()


@pytest.fixture(scope="module")
def database(shared: Cluster) -> Iterator[psycopg.Connection[clusters.Row]]:
    """A superuser's connection to a project with one job, where no statement may take long; rolled back at the end."""
    with psycopg.connect(shared.url("supabase_admin").reveal()) as connection:
        connection.execute("set statement_timeout = '20s'")
        connection.execute("select autosync.begin_epoch()")
        connection.execute("insert into autosync.job (name, function, schedule) values ('fuzzed', 'fn', '* * * * *')")
        yield connection
        connection.rollback()


def _judged(
    connection: psycopg.Connection[clusters.Row], status: int | None, headers: Any, body: str, settles: bool
) -> dict[str, Any]:
    """Return what the ledger says of an answer, as it is read at once or after it was settled."""
    with connection.transaction(force_rollback=True):
        connection.execute(
            "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, epoch)"
            " select id, 10000000, 1000, autosync.pg_net_epoch() from autosync.job where name = 'fuzzed'"
        )
        connection.execute(
            "insert into net._http_response (id, status_code, headers, content, timed_out, created)"
            " values (10000000, %s, %s, %s, false, clock_timestamp())",
            [status, Jsonb(headers), body],
        )
        if settles:
            connection.execute("select autosync.settle()")
        with connection.cursor(row_factory=psycopg.rows.dict_row) as cursor:
            found = cursor.execute("select * from autosync.recent_outcomes('fuzzed', 1)").fetchone()
        connection.execute("select autosync.call_findings('fuzzed')")
    assert found is not None
    return found


@examples(25)
@given(status=STATUSES, headers=st.sampled_from(_HEADERS), body=BODIES.map(_kept), settles=st.booleans())
def test_every_answer_is_judged_alike_and_no_key_in_it_is_shown(
    status: int, headers: dict[str, str], body: str, settles: bool, database: psycopg.Connection[clusters.Row]
) -> None:
    found = _judged(database, status, headers, body, settles)
    inputs.no_secret(repr(found))
    with inputs.within():
        is_json, stated = answers.stated(body)
        by = answerers.answered_by(status, headers, body)
    assert found["answered_by"] == by
    facts = database.execute("select autosync.answer_facts(%s)", [body]).fetchone()
    assert facts is not None
    said = facts[0] or {}
    assert bool(said.get("json")) == is_json
    assert said.get("is") == (None if stated is None else "good" if stated.is_good else "failed")
    if stated is not None and not stated.is_good:
        assert found["cause"] != "ok"
    if found["cause"] == "ok":
        assert 200 <= status <= 299


@example(failure={"succeeded": 0, "failed": 3}, beside={"region": 1}, status=200, blank="")
@examples(15)
@given(
    failure=st.sampled_from(FAILURES), beside=BESIDE, status=STATUSES, blank=st.sampled_from(["", " ", "\n", "\ufeff"])
)
def test_what_states_a_failure_is_never_a_success(
    failure: dict[str, Any], beside: dict[str, Any], status: int, blank: str, database: psycopg.Connection[clusters.Row]
) -> None:
    body = _kept(blank + json.dumps({**beside, **failure}))
    if (
        len(body) < 50_000
        and re.search(r"NaN|Infinity|\\u0000|\\ud|e[0-9+]{4}|[0-9]{4000}", body, re.IGNORECASE) is None
    ):
        assert _judged(database, status, {}, body, settles=False)["cause"] != "ok"
        row = {
            "body": body.encode(),
            "headers": b"{}",
            "status_code": status,
            "timed_out": False,
            "error": None,
            "is_cut": False,
            "created": None,
        }
        assert look.judged(row).fault is not None


@examples(40)
@given(
    st.sampled_from([None, 200, 302, 500, -1, 2**31 - 1]),
    st.binary(max_size=40) | BODIES.map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.none() | st.binary(max_size=20) | inputs.JSON.map(lambda value: json.dumps(value).encode()),
)
def test_an_audit_judges_any_bytes_that_pg_net_keeps(status: int | None, body: bytes, headers: bytes | None) -> None:
    row = {
        "body": body,
        "headers": headers,
        "status_code": status,
        "timed_out": None,
        "error": body,
        "is_cut": False,
        "created": None,
    }
    with inputs.within():
        inputs.no_secret(repr(look.judged(row)))


_KEY = {"id": "1", "name": "default", "type": "secret", "api_key": SECRET, "hash": "x", "prefix": "sb_secret_x"}
_FUNCTION = {
    "id": "1",
    "slug": "auto-sync-cron",
    "name": "x",
    "status": "ACTIVE",
    "version": 3,
    "verify_jwt": True,
    "updated_at": 1_700_000_000_000,
    "created_at": 1,
}
_VARIABLE = {"name": "X", "value": "0" * 64, "updated_at": "2026-01-01T00:00:00Z"}
_LOG = {
    "result": [{"id": "1", "timestamp": 1_700_000_000_000_000, "event_message": f"with {SECRET}", "level": "error"}]
}
RIGHT: tuple[Any, ...] = (
    [_KEY],
    [_FUNCTION],
    _FUNCTION,
    [_VARIABLE],
    _KEY,
    {"enabled": True},
    _LOG,
    {"message": f"no: {TOKEN}"},
    [],
)


@st.composite
def _responses(draw: st.DrawFn) -> tuple[int, dict[str, str], bytes]:
    text = json.dumps(draw(st.sampled_from(RIGHT).flatmap(inputs.bent)))
    text = draw(st.just(text) | st.integers(0, len(text)).map(lambda end: text[:end]) | hostile())
    headers = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "retry-after": st.sampled_from(
                    [
                        "0",
                        "3",
                        "1e9",
                        "9" * 30,
                        "Wed, 21 Oct 2099 07:28:00 GMT",
                        "Mon, 99 Zzz",
                        ",",
                        "",
                        "-1",
                        "(",
                        "1 Jan",
                    ]
                )
                | st.text("0123456789: ,+-()GMTJan", max_size=12),
                "location": st.sampled_from(["https://h.example", "//", "\x7f"]),
                "content-type": st.sampled_from(["text/html", "application/json; charset=utf-99", "x"]),
                "content-encoding": st.sampled_from(["gzip", "identity", "x"]),
            },
        )
    )
    status = draw(
        st.sampled_from([200, 200, 200, 201, 204, 301, 304, 400, 401, 403, 404, 409, 429, 500, 503, 600, 999])
    )
    return status, headers, text.encode("utf-8", "surrogatepass")


CALLS = {
    "keys": lambda project: project.api_keys(reveal=True),
    "make": lambda project: project.create_secret_key("auto_sync_x"),
    "legacy": lambda project: project.legacy_keys_enabled(),
    "functions": lambda project: project.functions(),
    "function": lambda project: project.function("auto-sync-cron"),
    "secrets": lambda project: project.secrets(),
}


@examples(25)
@given(st.sampled_from(sorted(CALLS)), _responses())
def test_the_management_api_may_answer_anything(name: str, answer: tuple[int, dict[str, str], bytes]) -> None:
    status, headers, body = answer
    access = Access(Secret(TOKEN), "http://127.0.0.1:9", patience=1000, wait=lambda _: None)
    real = httpx.Client

    def client(**options: Any) -> httpx.Client:
        options.pop("verify"), options.pop("trust_env")
        return real(
            # a stream, so that a body that is not as its headers say breaks while it is read
            transport=httpx.MockTransport(
                lambda _: httpx.Response(status, headers=headers, stream=httpx.ByteStream(body))
            ),
            **options,
        )

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(httpx, "Client", client)
        found = refused_or(lambda: CALLS[name](Management(keys.PROJECT_REF, access)), UnreachableError)
    inputs.no_secret(repr(found))
