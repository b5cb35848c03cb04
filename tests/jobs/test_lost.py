"""pg_net forgets: a request whose answer is gone is lost, and never gets the answer of another."""

import os
import signal
from collections.abc import Iterator

import psycopg
import pytest

from autosync_db.local.cluster import Cluster
from tests.jobs.conftest import Chain
from tests.support import clusters, keys
from tests.support.http_stub import Stub


@pytest.fixture
def own(migrated: Cluster, stub: Stub) -> Iterator[Chain]:
    """A chain on a cluster of the test's own, which may crash; no worker runs."""
    with clusters.connect(migrated) as connection:
        # test clusters commit asynchronously, and a crash would lose the ledger's own rows too
        connection.execute("set synchronous_commit = on")
        chain = Chain(connection)
        chain.store(stub.url, keys.legacy())
        yield chain


def _settle(cluster: Cluster, tick: int) -> list[tuple[str, str | None]]:
    with clusters.connect(cluster) as connection:
        connection.execute("select autosync.settle()")
        return [(request.outcome, request.error_message) for request in Chain(connection).requests(tick)]


def _crash(cluster: Cluster) -> None:
    cluster.stop("immediate")
    cluster.start()


def test_a_request_that_waits_in_the_queue_is_pending(own: Chain, migrated: Cluster) -> None:
    assert _settle(migrated, own.dispatch()) == [("pending", None)]


def test_a_request_whose_answer_was_deleted_is_lost(own: Chain, migrated: Cluster) -> None:
    tick = own.dispatch()
    own.connection.execute("delete from net.http_request_queue")
    assert _settle(migrated, tick) == [("lost", "pg_net no longer knows the request: expired, deleted or never sent")]


def test_a_crash_loses_what_was_not_settled(own: Chain, migrated: Cluster) -> None:
    tick = own.dispatch()
    _crash(migrated)
    assert _settle(migrated, tick) == [("lost", "pg_net's tables began again before an answer was kept")]


def test_an_id_that_starts_again_at_1_gets_no_older_requests_answer(own: Chain, migrated: Cluster, stub: Stub) -> None:
    tick = own.dispatch()
    assert own.value("select request_id from autosync.invocation") == 1
    _crash(migrated)
    with clusters.pg_net_worker(migrated), clusters.connect(migrated) as connection:
        # somebody else's request, made before anything was settled, gets the same id
        row = connection.execute("select net.http_post(url := %s)", [stub.url]).fetchone()
        assert row == (1,)
        clusters.wait_for(
            lambda: connection.execute(
                "select 1 from net._http_response where id = 1 and status_code = 200"
            ).fetchone(),
            "the answer of the other request",
        )
    assert [outcome for outcome, _ in _settle(migrated, tick)] == ["lost"]


@pytest.mark.parametrize(
    "restart",
    ["truncate net.http_request_queue restart identity", "alter sequence net.http_request_queue_id_seq restart"],
)
def test_ids_that_were_restarted_bring_no_answer_of_another(restart: str, own: Chain, migrated: Cluster) -> None:
    answer = (
        "insert into net._http_response (id, status_code, headers, content)"
        " select request_id, 200, '{}', '{\"ok\":true}' from autosync.invocation where tick_id = %s"
    )
    before = own.dispatch()
    with clusters.connect(migrated, "supabase_admin") as admin:
        admin.execute("delete from net.http_request_queue")
        # what only writes the table again restarts nothing
        admin.execute("vacuum full net.http_request_queue")
        admin.execute(answer, [before])
        own.value("select autosync.settle()")
        during = own.dispatch()
        admin.execute(restart.encode())
        admin.execute("delete from net._http_response")
        admin.execute(answer, [during])
    own.value("select autosync.settle()")
    outcome = "select outcome from autosync.invocation where tick_id = %s"
    assert [own.value(outcome, tick) for tick in (before, during)] == ["ok", "lost"]


def test_the_ledger_goes_on_after_a_crash(own: Chain, migrated: Cluster) -> None:
    first = own.dispatch()
    _crash(migrated)
    with clusters.pg_net_worker(migrated), clusters.connect(migrated) as connection:
        chain = Chain(connection)
        second = chain.dispatch()
        assert chain.settled(second).outcome == "ok"
        assert [request.outcome for request in chain.requests(first)] == ["lost"]
        assert chain.value("select array_agg(request_id order by id) from autosync.invocation") == [1, 1]


def test_a_crash_of_one_backend_starts_a_new_epoch(own: Chain, migrated: Cluster) -> None:
    """The server recovers without a restart: pg_postmaster_start_time() stays, the tables are emptied."""
    tick = own.dispatch()
    before = own.connection.execute("select pg_postmaster_start_time(), autosync.server_epoch()").fetchone()
    assert before is not None
    os.kill(int(own.value("select pg_backend_pid()")), signal.SIGKILL)

    def back() -> tuple[object, ...] | None:
        try:
            with clusters.connect(migrated) as connection:
                return connection.execute("select pg_postmaster_start_time(), autosync.server_epoch()").fetchone()
        except psycopg.OperationalError:
            return None

    after = clusters.wait_for(lambda: (found := back()) and found[1] != before[1] and found, "the recovery")
    assert isinstance(after, tuple)
    assert after[0] == before[0]
    assert [outcome for outcome, _ in _settle(migrated, tick)] == ["lost"]


def test_an_answer_older_than_its_request_is_not_its_own(unsent: Chain) -> None:
    unsent.store("http://project.internal", keys.legacy())
    tick = unsent.dispatch()
    unsent.connection.execute("delete from net.http_request_queue")
    unsent.connection.execute(
        "insert into net._http_response (id, status_code, created)"
        " select request_id, 200, queued_at - interval '1 minute'"
        " from autosync.invocation where tick_id = %s",
        [tick],
    )
    unsent.connection.execute("select autosync.settle()")
    assert [request.outcome for request in unsent.requests(tick)] == ["lost"]
