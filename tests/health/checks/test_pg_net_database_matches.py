"""pg_net_database_matches: a worker that serves another database sends nothing here, and looks well."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest

from autosync_db.health.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of

stand_in_only = pytest.mark.skipif(
    clusters.REAL_PG_NET, reason="the real worker's database is chosen at the start of the server"
)


@contextmanager
def _worker_in(project: Project, database: str) -> Iterator[None]:
    """Be the worker, connected to a database."""
    with psycopg.connect(project.cluster.url(database=database).reveal(), application_name="pg_net 0.20.4"):
        yield


@stand_in_only
def test_worker_of_another_database_is_the_root_cause_until_it_serves_this_one(project: Project) -> None:
    project.stop_worker()
    with _worker_in(project, "template1"):
        project.must_fail("pg_net_database_matches", names="serves the database template1, so requests of")
        project.owner.execute("select autosync.dispatch()")
        project.owner.execute(
            "update autosync.invocation set queued_at = now() - interval '1 hour' where outcome = 'pending'"
        )
        project.must_be_blocked("pg_net_queue_drains", "pg_net_database_matches")
    project.start_worker()
    clusters.wait_for(lambda: not project.value("select count(*) from net.http_request_queue"), "the call to be sent")
    project.must_be_healthy()


@stand_in_only
def test_second_worker_elsewhere_is_no_fault(project: Project) -> None:
    with _worker_in(project, "template1"):
        project.must_be_healthy()


@pytest.mark.skipif(not clusters.REAL_PG_NET, reason="only the real library has the setting pg_net.database_name")
def test_setting_that_sends_the_real_worker_elsewhere_is_named(project: Project) -> None:
    project.admin.execute("alter system set pg_net.database_name = 'template1'")
    project.restart_server()
    found = result_of(project.report(), "pg_net_database_matches")
    assert found.status is Status.CRITICAL
    assert "the database template1" in found.verdict.summary


def test_role_without_pg_monitor_sees_where_the_worker_is(project: Project) -> None:
    project.create_role("plain")
    found = result_of(project.report(["pg_net_database_matches"], role="plain"), "pg_net_database_matches")
    assert found.verdict.status is Status.OK
