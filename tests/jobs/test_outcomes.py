"""What became of a request, as the ledger tells it."""

import secrets
from typing import Any

import psycopg
import pytest

from autosync_db.credentials import store
from autosync_db.local.cluster import free_port
from autosync_db.secret import Secret
from tests.jobs.conftest import Chain
from tests.support import clusters, keys
from tests.support.http_stub import Stub


class Bytes(str):
    """A body that is sent as these bytes, whatever encoding is asked for."""

    raw = b'{"name":"M\xfcller"}\xff\xfe'

    def encode(self, encoding: str = "utf-8", errors: str = "strict") -> bytes:
        """Return the bytes as they are."""
        return self.raw


def test_a_200_is_ok(chain: Chain) -> None:
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.status_code, found.error_message) == ("ok", 200, None)


def test_a_refused_key_keeps_the_platforms_own_code(chain: Chain, stub: Stub) -> None:
    stub.answer(401, {"msg": "Invalid JWT"}, error_code="UNAUTHORIZED_INVALID_JWT_FORMAT")
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.status_code, found.error_code) == (
        "http_error",
        401,
        "UNAUTHORIZED_INVALID_JWT_FORMAT",
    )
    assert found.body_excerpt == '{"msg": "Invalid JWT"}'


def test_a_failure_keeps_the_start_of_its_body(chain: Chain, stub: Stub) -> None:
    stub.answer(500, "x" * 2000)
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.status_code, found.error_code) == ("http_error", 500, None)
    assert found.body_excerpt == "x" * 500


def test_an_answer_that_comes_too_late_is_timed_out(chain: Chain, stub: Stub) -> None:
    chain.connection.execute("update autosync.job set timeout_milliseconds = 1000")
    stub.answer(200, delay_seconds=3)
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.status_code) == ("timed_out", None)
    assert found.error_message is not None
    assert "imeout" in found.error_message


def test_a_refused_connection_is_a_network_error(chain: Chain) -> None:
    chain.store(f"http://127.0.0.1:{free_port()}", keys.legacy())
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.status_code) == ("network_error", None)
    assert found.error_message


def test_a_name_that_does_not_resolve_is_a_network_error(chain: Chain) -> None:
    chain.store("http://nowhere.invalid", keys.legacy())
    assert chain.settled(chain.dispatch()).outcome == "network_error"


@pytest.mark.parametrize("kind", ["legacy", "secret"])
@pytest.mark.parametrize("status", [200, 401, 500])
def test_a_key_that_the_server_echoes_is_not_kept(kind: str, status: int, chain: Chain, stub: Stub) -> None:
    key: Secret = getattr(keys, kind)()
    chain.store(stub.url, key)
    stub.answer(status, {"authorization": f"Bearer {key.reveal()}", "apikey": key.reveal()})
    excerpt = chain.settled(chain.dispatch()).body_excerpt
    assert excerpt is not None
    assert key.reveal() not in excerpt
    assert "***" in excerpt


def test_a_key_of_no_known_form_that_the_server_echoes_is_not_kept(chain: Chain, stub: Stub) -> None:
    """A cron secret is a random text, which no pattern recognises."""
    key = Secret(secrets.token_urlsafe(32))
    chain.store(stub.url, key)
    stub.answer(401, {"authorization": f"Bearer {key.reveal()}"})
    excerpt = chain.settled(chain.dispatch()).body_excerpt
    assert excerpt is not None
    assert key.reveal() not in excerpt


def test_any_stored_secret_that_the_server_echoes_is_not_kept(chain: Chain, stub: Stub) -> None:
    own = Secret(secrets.token_urlsafe(32))
    chain.store(stub.url, keys.legacy())
    store.store(chain.connection, {"cron_secret": own})
    stub.answer(500, {"x-autosync-cron-secret": own.reveal(), "kept": "yes"})
    excerpt = chain.settled(chain.dispatch()).body_excerpt
    assert excerpt is not None
    assert own.reveal() not in excerpt
    assert "***" in excerpt
    assert "kept" in excerpt


@pytest.mark.parametrize("kind", ["legacy", "secret"])
def test_a_key_that_the_excerpt_cuts_in_two_is_not_kept(kind: str, chain: Chain, stub: Stub) -> None:
    key: Secret = getattr(keys, kind)()
    chain.store(stub.url, key)
    stub.answer(500, "x" * (500 - len(key.reveal()) + 4) + " " + key.reveal())
    excerpt = chain.settled(chain.dispatch()).body_excerpt
    assert excerpt is not None
    assert key.reveal()[:20] not in excerpt


def test_a_body_that_is_no_utf8_is_settled_all_the_same(chain: Chain, stub: Stub) -> None:
    stub.answer(500, Bytes())
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.status_code) == ("http_error", 500)
    assert found.body_excerpt == "(the body is not valid UTF-8)"


def test_a_failure_in_latin1_is_one(chain: Chain, stub: Stub) -> None:
    class Failed(Bytes):
        raw = b'{"ok":false,"error":"M\xfcller \\\\ fehlt"}'

    stub.answer(200, Failed())
    found = chain.settled(chain.dispatch())
    assert (found.outcome, found.error_message) == ("failed", "Müller \\ fehlt")


def test_a_bad_body_does_not_keep_others_from_being_settled(chain: Chain, stub: Stub) -> None:
    stub.answer(500, Bytes())
    first = chain.dispatch()
    clusters.wait_for(lambda: chain.value("select count(*) from net.http_request_queue") == 0, "the call")
    stub.answer(200)
    second = chain.dispatch()
    assert (chain.settled(second).outcome, chain.settled(first).outcome) == ("ok", "http_error")


def test_housekeeping_settles_what_was_answered_and_a_tick_does_not(chain: Chain) -> None:
    first = chain.dispatch()
    answered = (
        "select exists (select from net._http_response as r"
        " join autosync.invocation as i on i.request_id = r.id"
        " where i.tick_id = %s)"
    )
    clusters.wait_for(lambda: chain.value(answered, first), "the answer")
    assert [request.is_settled for request in chain.requests(first)] == [False]
    chain.dispatch()
    assert [request.is_settled for request in chain.requests(first)] == [False]
    assert chain.value("select autosync.keep_house() ->> 'settled'") >= "1"
    assert [request.outcome for request in chain.requests(first)] == ["ok"]


def test_a_settled_outcome_outlives_pg_nets_own_row(chain: Chain) -> None:
    tick = chain.dispatch()
    chain.settled(tick)
    chain.connection.execute("delete from net._http_response")
    chain.connection.execute("select autosync.settle()")
    assert [request.outcome for request in chain.requests(tick)] == ["ok"]


CLASSES: list[tuple[str, int | None, str | None, str | None, str]] = [
    ("pending", None, None, None, "pending"),
    ("lost", None, None, None, "lost"),
    ("timed_out", None, None, None, "slow"),
    ("network_error", None, None, None, "network"),
    ("ok", 200, None, '{"ok":true,"processed":3}', "ok"),
    ("ok", 204, None, None, "ok"),
    ("ok", 200, None, "", "ok"),
    ("http_error", 401, None, None, "key"),
    ("http_error", 403, None, None, "key"),
    ("http_error", 401, "UNAUTHORIZED_LEGACY_JWT", None, "key"),
    ("http_error", 500, "UNAUTHORIZED_NO_AUTH_HEADER", None, "key"),
    ("http_error", 404, "NOT_FOUND", '{"message":"Requested function was not found"}', "missing"),
    ("http_error", 404, "NOT_FOUND_FUNCTION_BLOB", None, "missing"),
    ("http_error", 404, None, "Function not found", "missing"),
    ("http_error", 404, None, '{"error":"no such schedule"}', "function"),
    (
        "http_error",
        500,
        None,
        '{"msg":"InvalidWorkerCreation: could not find an appropriate entrypoint"}',
        "missing",
    ),
    ("http_error", 500, None, "boom", "function"),
    ("http_error", 500, "EDGE_FUNCTION_ERROR", "InvalidWorkerCreation", "function"),
    ("http_error", 503, "BOOT_ERROR", None, "function"),
    ("http_error", 504, None, None, "slow"),
    ("http_error", 504, "IDLE_TIMEOUT", None, "slow"),
    ("http_error", 546, "WORKER_LIMIT", None, "function"),
    ("http_error", 522, None, "<html>", "network"),
    ("http_error", 522, "WORKER_ERROR", None, "function"),
    ("http_error", 524, None, "error code: 524", "slow"),
    ("http_error", 302, None, None, "network"),
]


@pytest.mark.parametrize(("outcome", "status", "code", "body", "cause"), CLASSES)
def test_an_outcome_speaks_of_one_part_of_the_chain(
    outcome: str,
    status: int | None,
    code: str | None,
    body: str | None,
    cause: str,
    transaction: psycopg.Connection[Any],
) -> None:
    row = transaction.execute(
        "select autosync.classify(%s, %s, %s, %s, null)", [outcome, status, code, body]
    ).fetchone()
    assert row == (cause,)
