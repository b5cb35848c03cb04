"""autosync.dispatch(): what it sends, what it refuses to send, and what it writes down."""

import threading
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.jobs.conftest import Chain
from tests.support import clusters, keys
from tests.support.http_stub import Stub

URL = "http://project.internal"


@pytest.mark.parametrize(
    ("missing", "blank", "broken"),
    [
        (None, "", f"{URL} /x"),
        (None, "   ", "http://pro\tject.internal"),
        (None, "\n", f"{URL}\n{URL}"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_and_nothing_is_queued(
    missing: None, blank: str, broken: str, unsent: Chain
) -> None:
    for value, complaint in ((missing, "is missing"), (blank, "is blank"), (broken, "contains blanks")):
        unsent.store(value, keys.legacy())
        _refused(unsent, f'the secret "project_url" .*{complaint}|the secret "project_url" {complaint}')


@pytest.mark.parametrize("kind", ["legacy", "secret"])
def test_a_key_that_cannot_be_used_is_named_and_nothing_is_queued(kind: str, unsent: Chain) -> None:
    key = getattr(keys, kind)().reveal()
    middle = len(key) // 2
    for value, complaint in (
        (None, "is missing"),
        (" \r\n", "is blank"),
        (f"{key[:middle]} {key[middle:]}", "contains blanks"),
        (f"{key[:middle]}\n{key[middle:]}", "contains blanks"),
        (f"{key[:middle]}\u00a0{key[middle:]}", "contains blanks"),
        (f"{key[:middle]}\u200b{key[middle:]}", "contains blanks"),
    ):
        unsent.store(URL, None if value is None else Secret(value))
        message = _refused(
            unsent, f'the secret "service_role_key" .*{complaint}|the secret "service_role_key" {complaint}'
        )
        assert key[:middle] not in message


def _refused(chain: Chain, pattern: str) -> str:
    with pytest.raises(psycopg.Error, match=pattern) as caught, chain.connection.transaction():
        chain.dispatch()
    assert caught.value.diag.message_hint == "run: autosync-db setup"
    assert chain.queued() == []
    assert chain.value("select count(*) from autosync.tick") == 0
    return str(caught.value)


def test_a_key_with_a_line_end_is_sent_without_it(unsent: Chain) -> None:
    key = keys.legacy()
    unsent.store(f" {URL}\n", Secret(key.reveal() + "\r\n"))
    unsent.dispatch()
    ((url, headers, _, _),) = unsent.queued()
    assert url == f"{URL}/functions/v1/auto-sync-cron"
    assert headers["Authorization"] == f"Bearer {key.reveal()}"


def test_a_legacy_key_arrives_as_bearer_and_as_nothing_else(chain: Chain, stub: Stub) -> None:
    key = keys.legacy()
    chain.store(stub.url, key)
    chain.settled(chain.dispatch())
    (request,) = stub.requests
    assert request.headers["authorization"] == f"Bearer {key.reveal()}"
    assert "apikey" not in request.headers


def test_a_secret_key_arrives_as_apikey_and_as_nothing_else(chain: Chain, stub: Stub) -> None:
    key = keys.secret()
    chain.store(stub.url, key)
    chain.settled(chain.dispatch())
    (request,) = stub.requests
    assert request.headers["apikey"] == key.reveal()
    assert "authorization" not in request.headers


def test_the_request_is_a_json_post_that_names_its_tick(chain: Chain, stub: Stub) -> None:
    tick = chain.dispatch()
    chain.settled(tick)
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/functions/v1/auto-sync-cron")
    assert request.headers["content-type"] == "application/json"
    assert request.body == b"{}"
    sent = {name: value for name, value in request.headers.items() if name.startswith("x-autosync")}
    assert sent == {
        "x-autosync-job": "auto-sync-cron-job",
        "x-autosync-tick": str(tick),
        "x-autosync-attempt": "1",
        "x-autosync-timeout-ms": "30000",
        "x-autosync-batch-size": "50",
    }
    assert request.headers["idempotency-key"] == str(
        chain.value("select idempotency_key from autosync.invocation where tick_id = %s", tick)
    )


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_trailing_slash_of_the_project_url_does_no_harm(slashes: str, unsent: Chain) -> None:
    unsent.store(URL + slashes, keys.legacy())
    unsent.dispatch()
    assert [url for url, *_ in unsent.queued()] == [f"{URL}/functions/v1/auto-sync-cron"]


def test_the_timeout_is_the_jobs_and_not_the_extensions(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.dispatch()
    unsent.connection.execute("update autosync.job set timeout_milliseconds = 12345")
    unsent.dispatch()
    assert [timeout for *_, timeout in unsent.queued()] == [30000, 12345]
    assert unsent.value("select array_agg(timeout_milliseconds order by id) from autosync.invocation") == [
        30000,
        12345,
    ]


def test_the_tick_is_written_down(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(3)
    unsent.connection.execute("set local application_name = 'pg_cron'")
    tick = unsent.dispatch()
    row = unsent.connection.execute(
        "select job_id, backend_pid = pg_backend_pid(), caller, due, decision,"
        " epoch is not null, clock_timestamp() - ticked_at < interval '5 seconds'"
        " from autosync.tick where id = %s",
        [tick],
    ).fetchone()
    assert row == (1, True, "pg_cron", 3, "posted", True, True)


@pytest.mark.parametrize(("due", "requests"), [(0, 1), (1, 1), (50, 1), (51, 2), (120, 3), (200, 4), (900, 4)])
def test_much_work_is_spread_over_several_requests_up_to_the_cap(due: int, requests: int, unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(due)
    unsent.dispatch()
    assert len(unsent.queued()) == requests
    assert unsent.value("select count(distinct request_id) from autosync.invocation") == requests


def test_a_claimed_schedule_is_not_due(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(2)
    unsent.connection.execute("select public.auto_sync_claim(1)")
    assert unsent.value("select due from autosync.tick where id = %s", unsent.dispatch()) == 1


def test_when_due_makes_no_call_while_nothing_is_due(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute("update autosync.job set invoke = 'when_due'")
    tick = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "idle"
    assert unsent.queued() == []
    unsent.add_due(1)
    tick = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "posted"
    assert len(unsent.queued()) == 1


def test_a_paused_job_makes_no_call_and_needs_no_secret(unsent: Chain) -> None:
    unsent.add_due(1)
    unsent.connection.execute("update autosync.job set paused_at = now(), paused_by = 'somebody'")
    tick = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "paused"
    assert unsent.queued() == []


@pytest.mark.parametrize("state", ["invoke = 'when_due'", "paused_at = now(), paused_by = 'somebody'"])
def test_force_calls_in_spite_of_it(state: str, unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute(f"update autosync.job set {state}".encode())
    tick = unsent.dispatch(force=True)
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "posted"
    assert len(unsent.queued()) == 1


def test_an_unknown_job_is_refused(unsent: Chain) -> None:
    with pytest.raises(psycopg.Error, match='no job named "nobody"'):
        unsent.value("select autosync.dispatch('nobody')")


def test_a_second_job_calls_its_own_function(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute(
        "insert into autosync.job (name, function, schedule) values ('nightly', 'clean-up', '0 3 * * *')"
    )
    tick = unsent.value("select autosync.dispatch('nightly')")
    assert [url for url, *_ in unsent.queued()] == [f"{URL}/functions/v1/clean-up"]
    assert (
        unsent.value(
            "select j.name from autosync.invocation as i join autosync.job as j on j.id = i.job_id where tick_id = %s",
            tick,
        )
        == "nightly"
    )


def test_no_key_is_kept_in_the_ledger(chain: Chain, stub: Stub) -> None:
    key = keys.secret()
    chain.store(stub.url, key)
    stub.answer(500, {"received": key.reveal()})
    chain.settled(chain.dispatch())
    ledger = chain.value(
        "select concat((select string_agg(t::text, ' ') from autosync.tick as t),"
        " (select string_agg(i::text, ' ') from autosync.invocation as i))"
    )
    assert key.reveal() not in ledger


def test_address_and_credential_are_of_one_moment(chain: Chain, served: Cluster) -> None:
    """Whoever stores another project's address and key in between does not get its key sent to the old address."""
    lock = 20261124
    old_url = chain.value("select secret from public.pg_cron_secrets where name = 'project_url'")
    newer = keys.secret()
    sent: list[tuple[Any, ...]] = []

    def tick() -> None:
        with clusters.connect(served) as other:
            other.execute("begin")
            [(source,)] = other.execute(
                "select pg_get_functiondef('autosync.read_secret(text)'::regprocedure)"
            ).fetchall()
            other.execute(
                source.replace(
                    "return found_value;",
                    "if read_secret.secret_name = 'project_url' then"
                    f" perform pg_advisory_xact_lock_shared({lock}); end if; return found_value;",
                ).encode()
            )
            other.execute("select autosync.dispatch('auto-sync-cron-job', true)")
            sent.extend(other.execute("select url, headers from net.http_request_queue").fetchall())
            other.execute("rollback")

    with clusters.connect(served) as holder:
        holder.execute("select pg_advisory_lock(%s)", [lock])
        ticking = threading.Thread(target=tick)
        ticking.start()
        clusters.wait_for(
            lambda: chain.value("select count(*) from pg_locks where locktype = 'advisory' and not granted") == 1,
            "the tick that has read the address",
        )
        chain.store("http://127.0.0.1:9", newer)
    ticking.join(30)
    [(url, headers)] = sent
    assert url.startswith(old_url)
    assert newer.reveal() not in str(headers)
