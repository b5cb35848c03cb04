"""Whatever answers hold, whoever holds a lock and whatever was added beside us: the next tick posts its call."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.jobs.conftest import Chain
from tests.support import clusters, keys

URL = "http://project.internal"
# what may lie in pg_net's table of answers: any login role can write there, and any server chooses headers and body
ODD_ANSWERS = {
    "headers that are an array": "200, '[1]', '{}'",
    "headers that are a number": "200, '1', '{}'",
    "headers that are no object but null": "200, 'null', '{}'",
    "a header name that is not UTF-8": r"200, jsonb_build_object(net._stand_in_text('\xff61'), 'x'), '{}'",
    "a header value that is not UTF-8": r"200, jsonb_build_object('sb-error-code', net._stand_in_text('\xc3')), '{}'",
    "a body that is not UTF-8": r"200, '{}', net._stand_in_text('\xfffe7b')",
    "JSON that no jsonb can hold": r"""200, '{}', '{"ok":true,"error":"\u0000"}'""",
    "a duration out of range": """200, '{}', '{"ok":true,"duration_ms":1e400}'""",
    "counts of a megabyte": """200, '{}', '{"counts":{"x":"' || repeat('y', 1000000) || '"}}'""",
    "deep nesting": "200, '{}', '{\"a\":' || repeat('[', 90000)",
    "no status and no error": "null, null, null",
    "a status that is none": "-2147483648, '{}', ''",
}
# reading these fails in a way that only reading one by one can end
UNREADABLE = {"a location that is not UTF-8": r"200, jsonb_build_object('location', net._stand_in_text('\xc3')), '{}'"}
# what another session does in an open transaction, and whether the tick can post all the same
LOCKS = {
    "the history of pg_cron": ("lock table cron.job_run_details in access exclusive mode", True),
    "the answers of pg_net": ("lock table net._http_response in access exclusive mode", True),
    "the settings of the job": ("update autosync.job set updated_at = now()", True),
    "the ledger's rows": ("select from autosync.invocation for update", True),
    "a housekeeping that goes on": ("select autosync.keep_house()", True),
    "the table of jobs": ("lock table autosync.job in access exclusive mode", False),
    "the secrets": ("lock table public.pg_cron_secrets in access exclusive mode", False),
    "the queue": ("lock table net.http_request_queue in access exclusive mode", False),
}
IMPOSTORS = [
    "create function autosync.dispatch(character varying) returns void language plpgsql as 'begin null; end'",
    "create function autosync.dispatch(name) returns void language plpgsql as 'begin null; end'",
    "create function autosync.dispatch(variadic text[]) returns void language plpgsql as 'begin null; end'",
    "create function autosync.dispatch(anyelement) returns void language plpgsql as 'begin null; end'",
    "create function autosync.keep_house(variadic text[]) returns void language plpgsql as 'begin null; end'",
]


def _answer(chain: Chain, tick: int, answer: str = "200, '{}', '{\"ok\":true}'") -> None:
    """Let pg_net have sent a tick's call and hold this answer."""
    chain.connection.execute(
        "delete from net.http_request_queue as q using autosync.invocation as i"
        " where q.id = i.request_id and i.tick_id = %s",
        [tick],
    )
    chain.connection.execute(
        f"insert into net._http_response (id, status_code, headers, content) select i.request_id, {answer}"
        f" from autosync.invocation as i where i.tick_id = {tick}".encode()
    )


def _outcome(chain: Chain, tick: int) -> str:
    return str(chain.value("select outcome from autosync.invocation where tick_id = %s", tick))


@pytest.mark.parametrize("what", [*ODD_ANSWERS, *UNREADABLE])
def test_an_odd_answer_is_settled_and_the_next_tick_posts(what: str, unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    if not unsent.value("select to_regprocedure('net._stand_in_text(bytea, bytea)') is not null"):
        pytest.skip("bytes can be labelled as text by the stand-in only")
    before, odd, after = unsent.dispatch(), unsent.dispatch(), unsent.dispatch()
    _answer(unsent, before)
    _answer(unsent, odd, {**ODD_ANSWERS, **UNREADABLE}[what])
    _answer(unsent, after)
    done = unsent.value("select autosync.keep_house()")
    assert "errors" not in done
    assert (_outcome(unsent, before), _outcome(unsent, after)) == ("ok", "ok")
    assert _outcome(unsent, odd) != "pending"
    following = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", following) == "posted"


def test_an_answer_that_cannot_be_read_says_why(unsent: Chain) -> None:
    """Reading is made to fail for one answer, as no input that is known does any more."""
    unsent.store(URL, keys.legacy())
    healthy, odd = unsent.dispatch(), unsent.dispatch()
    _answer(unsent, healthy)
    _answer(unsent, odd, "200, '{}', '{\"ok\":true,\"marker\":1}'")
    source = unsent.value("select pg_get_functiondef('autosync.answer_facts(text)'::regprocedure)")
    broken = "if body like '%marker%' then raise exception 'no such character'; end if;"
    unsent.connection.execute(source.replace("begin\n", f"begin\n{broken}\n", 1).encode())
    newest = unsent.connection.execute(
        "select outcome, error_message, cause from autosync.recent_outcomes('auto-sync-cron-job', 2) order by id"
    ).fetchall()
    assert [outcome for outcome, *_ in newest] == ["ok", "unreadable"]
    assert "no such character" in newest[1][1]
    assert unsent.value("select autosync.settle()") == 2
    assert (_outcome(unsent, healthy), _outcome(unsent, odd)) == ("ok", "unreadable")


@pytest.mark.parametrize("what", LOCKS)
def test_no_lock_of_another_session_holds_a_tick(what: str, chain: Chain, served: Cluster) -> None:
    statement, posts = LOCKS[what]
    chain.settled(chain.dispatch())
    with clusters.connect(served) as other, clusters.connect(served, "supabase_admin") as admin:
        holder = admin if "lock table" in statement else other
        holder.execute("begin")
        holder.execute(statement.encode())
        started = time.monotonic()
        if posts:
            tick = chain.dispatch()
            assert chain.value("select decision from autosync.tick where id = %s", tick) == "posted"
        else:
            with pytest.raises(psycopg.errors.LockNotAvailable):
                chain.dispatch()
        # a bound, not a measurement: without it the tick waits for as long as the lock is held
        assert time.monotonic() - started < 20
        holder.execute("rollback")
    chain.settled(chain.dispatch())


def test_housekeeping_goes_on_beside_what_is_locked(chain: Chain, served: Cluster) -> None:
    tick = chain.dispatch()
    chain.settled(tick)
    chain.connection.execute(
        "update autosync.invocation set queued_at = now() - interval '31 days' where tick_id = %s", [tick]
    )
    # the newest call with an outcome stays
    chain.settled(chain.dispatch())
    with clusters.connect(served, "supabase_admin") as admin:
        admin.execute("begin")
        admin.execute("lock table net._http_response, cron.job_run_details in access exclusive mode")
        chain.dispatch()
        done = chain.value("select autosync.keep_house()")
        admin.execute("rollback")
    assert sorted(done["errors"]) == ["gone_jobs", "runs_deleted", "settled"]
    assert done["deleted"] >= 1


def test_a_worker_that_stands_still_gets_no_more_than_it_can_send(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(400)
    decisions = [unsent.value("select decision from autosync.tick where id = %s", unsent.dispatch()) for _ in range(20)]
    assert decisions == ["posted", *["backlogged"] * 19]
    assert len(unsent.queued()) == 4
    oldest = "(select min(q.id) from net.http_request_queue as q)"
    unsent.connection.execute(f"delete from net.http_request_queue where id = {oldest}".encode())
    assert unsent.value("select decision from autosync.tick where id = %s", unsent.dispatch()) == "posted"
    assert len(unsent.queued()) == 4


def test_neither_a_status_nor_an_error_is_no_success(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    ticks = [unsent.dispatch() for _ in range(3)]
    _answer(unsent, ticks[0], "null, null, null")
    _answer(unsent, ticks[1], "null, '{}', '{\"ok\":true}'")
    _answer(unsent, ticks[2], "null, null, null")
    unsent.connection.execute(
        "update net._http_response as r set timed_out = true from autosync.invocation as i"
        " where i.request_id = r.id and i.tick_id = %s",
        [ticks[2]],
    )
    assert unsent.value("select autosync.settle()") == 3
    assert [_outcome(unsent, tick) for tick in ticks] == ["network_error", "network_error", "timed_out"]
    said = "select error_message from autosync.invocation where tick_id = %s"
    assert "neither a status nor an error" in unsent.value(said, ticks[0])


def test_whatever_number_waits_what_was_answered_is_settled(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute(
        "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, epoch)"
        " select 1, n, 1000, autosync.begin_epoch() from generate_series(1000001, 1001200) as n"
    )
    # the first 600 still wait, the others were answered
    unsent.connection.execute(
        "insert into net.http_request_queue (id, method, url, timeout_milliseconds)"
        " select n, 'POST', 'http://project.internal', 1000 from generate_series(1000001, 1000600) as n"
    )
    unsent.connection.execute(
        "insert into net._http_response (id, status_code, headers, content)"
        " select n, 200, '{}', '{}' from generate_series(1000601, 1001200) as n"
    )
    newest = unsent.value("select array_agg(distinct cause) from autosync.recent_outcomes('auto-sync-cron-job', 50)")
    assert newest == ["ok"]
    assert unsent.value("select autosync.settle()") == 600
    assert unsent.value("select count(*) from autosync.invocation where outcome = 'pending'") == 600


def test_the_jobs_commands_call_nothing_but_ours(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute(
        "insert into autosync.job (name, function, schedule) values ('nightly', 'clean-up', '0 3 * * *')"
    )
    for statement in IMPOSTORS:
        unsent.connection.execute(statement.encode())
    for name in ("auto-sync-cron-job", "nightly"):
        tick = unsent.value(unsent.value("select autosync.job_command(%s)", name))
        named = "select j.name from autosync.tick as t join autosync.job as j on j.id = t.job_id where t.id = %s"
        assert unsent.value(named, tick) == name
    assert "settled" in unsent.value(unsent.value("select autosync.job_command('autosync-keep-house')"))
    # an overload with defaults cannot be distinguished from ours: the run fails, loudly, instead of doing nothing
    unsent.connection.execute("create function autosync.dispatch(text, text default '') returns bigint return 1")
    with pytest.raises(psycopg.errors.AmbiguousFunction):
        unsent.value(unsent.value("select autosync.job_command('nightly')"))


@contextmanager
def _raw_server(answers: dict[str, bytes]) -> Iterator[str]:
    """Serve exactly these bytes, chosen by the tick that the call names, and close; yield the address."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10)
                try:
                    request = connection.recv(65536)
                    tick = next(
                        line.split(b":")[1].strip().decode()
                        for line in request.split(b"\r\n")
                        if line.lower().startswith(b"x-autosync-tick:")
                    )
                    connection.sendall(answers.get(tick, b""))
                except (OSError, StopIteration):
                    continue

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join(10)


def _random_answer(source: random.Random) -> bytes:
    """Return an answer whose status line, headers or body are random bytes, more often nearly right than not."""

    def some(most: int) -> bytes:
        return source.randbytes(source.randrange(most)).replace(b"\r", b"").replace(b"\n", b"")

    line = source.choice([b"HTTP/1.1 200 OK", b"HTTP/1.1 " + some(6), some(30), b"HTTP/1.1 599 " + some(9)])
    headers = [
        source.choice([b"x-" + some(8) + b": " + some(20), some(9) + b": a", b"sb-error-code: " + some(9), some(20)])
        for _ in range(source.randrange(4))
    ]
    body = source.choice([some(40), b'{"ok":true,"error":"' + some(9) + b'"}', b'{"counts":{"' + some(5) + b'":1}}'])
    length = source.choice([b"content-length: %d" % len(body), b"connection: close"])
    return b"\r\n".join([line, *headers, length, b"", body])


def test_random_bytes_as_an_answer_stop_nothing(chain: Chain) -> None:
    """Property: every call gets an outcome, a healthy answer between odd ones stays its own, the next tick posts."""
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    answers: dict[str, bytes] = {}
    chain.connection.execute("update autosync.job set max_requests = 100")
    with _raw_server(answers) as url:
        chain.store(url, keys.legacy())
        ticks = []
        for number in range(40):
            chain.connection.execute("begin")
            tick = chain.dispatch()
            body = b'{"ok":true,"counts":{"tick":%d}}' % tick
            healthy = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
            answers[str(tick)] = _random_answer(source) if number % 4 else healthy
            chain.connection.execute("commit")
            ticks.append((tick, number % 4 == 0))

        def all_settled() -> Any:
            assert "errors" not in chain.value("select autosync.keep_house()")
            return chain.value("select not exists (select from autosync.invocation where outcome = 'pending')")

        clusters.wait_for(all_settled, "an outcome of every call")
        following = chain.dispatch()
        assert chain.value("select decision from autosync.tick where id = %s", following) == "posted"
    for tick, is_healthy in ticks:
        outcome, counts = chain.connection.execute(
            "select outcome, counts from autosync.invocation where tick_id = %s", [tick]
        ).fetchone() or (None, None)
        if is_healthy:
            assert (outcome, counts) == ("ok", {"tick": tick})
        else:
            assert outcome in {"ok", "failed", "http_error", "network_error", "timed_out", "unreadable"}
