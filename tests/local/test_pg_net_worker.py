"""When pg_net 0.20.4 sends, and how its worker lives; the same tests judge the real one and the stand-in."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator

import psycopg
import pytest

from tests.local.conftest import Connection, NetServer, ask
from tests.support import clusters, http_stub
from tests.support.http_stub import Stub


@pytest.fixture
def slow() -> Iterator[Stub]:
    """A server that answers when it is released."""
    with http_stub.serve() as running:
        running.delay_seconds = 20
        yield running


def insert(db: Connection, url: str, headers: str = "{}") -> int:
    """Put a row into the queue past the functions, which wakes nobody."""
    return int(
        ask(
            db,
            "insert into net.http_request_queue (method, url, headers, timeout_milliseconds)"
            " values ('GET', %s, %s, 5000) returning id",
            url, headers,
        )
    )  # fmt: skip


def test_a_request_is_sent_after_its_commit_and_never_without(
    net_server: NetServer, db: Connection, stub: Stub
) -> None:
    with net_server.connect() as other:
        db.execute("begin")
        db.execute("select net.http_get(%s)", [f"{stub.url}/never"])
        db.execute("rollback")
        db.execute("begin")
        held = ask(db, "select net.http_get(%s)", f"{stub.url}/held")
        # a request of another session wakes the worker meanwhile
        net_server.response(other, ask(other, "select net.http_get(%s)", f"{stub.url}/other"))
        assert [sent.path for sent in stub.requests] == ["/other"]
        db.execute("commit")
        assert net_server.response(db, held)["status_code"] == 200
        assert [sent.path for sent in stub.requests] == ["/other", "/held"]


def test_rows_wait_for_a_wake_or_a_restart(
    net_server: NetServer, db: Connection, admin: Connection, stub: Stub
) -> None:
    net_server.send_to_sleep(db)
    expired = "insert into net._http_response (id, created) values (%s, now() - %s::interval)"
    for id_, age in ((-1, "7 hours"), (-2, "5 hours")):
        db.execute(expired, [id_, age])
    request = insert(db, stub.url)
    time.sleep(1.2)
    assert stub.requests == []
    assert ask(db, "select count(*) from net._http_response") == 2
    db.execute("select net.wake()")
    assert net_server.response(db, request)["status_code"] == 200
    clusters.wait_for(lambda: ask(db, "select min(id) from net._http_response") == -2, "the expired answer to go")

    admin.execute("alter system set pg_net.ttl = '1 hour'")
    with net_server.batch(db):
        db.execute("select net.wake()")
    request = insert(db, stub.url)
    net_server.restart_worker(admin)
    assert net_server.response(db, request)["status_code"] == 200
    clusters.wait_for(lambda: ask(db, "select min(id) from net._http_response") > 0, "the expired answer to go")


def test_a_locked_table_sends_the_worker_back_to_sleep(
    net_server: NetServer, db: Connection, admin: Connection, stub: Stub
) -> None:
    # else a look that an earlier wake is due to may be taken for that at the request
    net_server.send_to_sleep(db)
    with admin.transaction():
        admin.execute("lock table net._http_response in access exclusive mode")
        with net_server.batch(db):
            request = ask(db, "select net.http_get(%s)", stub.url)
    time.sleep(1.2)
    assert stub.requests == []
    assert ask(db, "select count(*) from net.http_request_queue") == 1
    db.execute("select net.wake()")
    assert net_server.response(db, request)["status_code"] == 200


def test_a_slow_request_holds_back_the_whole_batch(
    net_server: NetServer, db: Connection, stub: Stub, slow: Stub
) -> None:
    with db.transaction():
        late = ask(db, "select net.http_get(%s, timeout_milliseconds := 20000)", slow.url)
        fast = ask(db, "select net.http_get(%s)", stub.url)
    clusters.wait_for(lambda: slow.requests and stub.requests, "both requests")
    time.sleep(0.3)
    assert ask(db, "select count(*) from net._http_response") == 0
    finished = ask(db, "select clock_timestamp()")
    slow.release.set()
    rows = [net_server.response(db, request) for request in (late, fast)]
    # both carry the start of the batch, long before the slow one answered
    assert rows[0]["created"] == rows[1]["created"]
    assert (finished - rows[0]["created"]).total_seconds() > 0.25


def test_the_requests_of_a_batch_run_at_once(net_server: NetServer, db: Connection, slow: Stub) -> None:
    sent = db.execute("select net.http_get(%s, timeout_milliseconds := 20000) from generate_series(1, 20)", [slow.url])
    clusters.wait_for(lambda: len(slow.requests) == 20, "all requests, none of which is answered")
    slow.release.set()
    for (request,) in sent.fetchall():
        assert net_server.response(db, request)["status_code"] == 200


def test_a_failing_trigger_resends_the_batch(
    net_server: NetServer, db: Connection, admin: Connection, stub: Stub
) -> None:
    admin.execute(
        """
        create function public.refuse() returns trigger language plpgsql as
        $$ begin raise exception 'refused'; end $$;
        create trigger refuse before insert on net._http_response
            for each row execute function public.refuse()
        """
    )
    request = ask(db, "select net.http_get(%s)", stub.url)
    clusters.wait_for(lambda: len(stub.requests) >= 2, "the request again")
    assert ask(db, "select count(*) from net._http_response") == 0
    admin.execute("drop function public.refuse() cascade")
    assert net_server.response(db, request)["status_code"] == 200
    assert len(stub.requests) < 12


@pytest.mark.long
def test_an_invalid_ttl_or_headers_that_are_no_object_stop_everything(
    net_server: NetServer, db: Connection, admin: Connection, stub: Stub
) -> None:
    admin.execute("alter system set pg_net.ttl = '6 hourz'")
    admin.execute("select net.worker_restart()")
    request = ask(db, "select net.http_get(%s)", stub.url)
    net_server.wait_for_new_worker(admin, times=2)
    assert stub.requests == []
    admin.execute("alter system reset pg_net.ttl")
    admin.execute("select net.worker_restart()")
    assert net_server.response(db, request)["status_code"] == 200

    insert(db, f"{stub.url}/poison", "[1]")
    request = ask(db, "select net.http_get(%s)", stub.url)
    net_server.wait_for_new_worker(admin, times=2)
    assert len(stub.requests) == 1
    db.execute("delete from net.http_request_queue where headers = '[1]'")
    assert net_server.response(db, request)["status_code"] == 200


def test_batch_size_limits_a_transaction_and_zero_sends_nothing(
    net_server: NetServer, db: Connection, admin: Connection, stub: Stub
) -> None:
    admin.execute("alter system set pg_net.batch_size = 0")
    net_server.restart_worker(admin)
    with net_server.batch(db):
        sent = db.execute("select net.http_get(%s) from generate_series(1, 5)", [stub.url]).fetchall()
    assert stub.requests == []
    admin.execute("alter system set pg_net.batch_size = 2")
    admin.execute("select net.worker_restart()")
    created = [net_server.response(db, request)["created"] for (request,) in sent]
    assert created[0] == created[1] < created[2] == created[3] < created[4]


def test_a_crash_empties_the_tables_and_restarts_the_ids(net_server: NetServer, db: Connection, stub: Stub) -> None:
    net_server.response(db, ask(db, "select net.http_get(%s)", stub.url))
    net_server.cluster.stop("immediate")
    net_server.cluster.start()
    with net_server.connect() as connection:
        assert ask(connection, "select count(*) from net._http_response") == 0
        request = ask(connection, "select net.http_get(%s)", stub.url)
        assert request == 1
        assert net_server.response(connection, request)["status_code"] == 200


def test_a_stopped_worker_exits_with_0_and_leaves_the_queue_to_the_next(
    net_server: NetServer, db: Connection, slow: Stub
) -> None:
    """The one test of the worker as the process that `local up` starts."""
    if net_server.real:
        pytest.skip("the server itself runs the real worker")
    net_server.worker.close()
    process = subprocess.Popen(
        [sys.executable, "-m", "autosync_db.local.pg_net.worker"],
        env={**os.environ, **net_server.cluster.environment("postgres")},
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        request = ask(db, "select net.http_get(%s, timeout_milliseconds := 20000)", slow.url)
        clusters.wait_for(lambda: slow.requests, "the request")
        process.terminate()
        _, log = process.communicate(timeout=10)
        assert process.returncode == 0, log
        assert ask(db, "select count(*) from net.http_request_queue") == 1
        with pytest.raises(psycopg.errors.RaiseException, match="the pg_net background worker is not up"):
            db.execute("select net.check_worker_is_up()")
    finally:
        process.kill()
        net_server.start_worker()
    slow.release.set()
    assert net_server.response(db, request)["status_code"] == 200
