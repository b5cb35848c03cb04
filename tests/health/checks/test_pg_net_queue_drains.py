"""pg_net_queue_drains: a call that the worker leaves in the queue is named, with what the worker does meanwhile."""

import psycopg
import pytest

from tests.support import clusters
from tests.support.health import Project


def _age(project: Project, interval: str) -> None:
    """Make the calls under way older."""
    project.owner.execute(
        "update autosync.invocation set queued_at = now() - %s::interval where outcome = 'pending'", [interval]
    )


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the real worker cannot be replaced by an idle connection")
def test_call_that_an_idle_worker_leaves_is_the_root_cause_until_it_is_woken(project: Project) -> None:
    project.stop_worker()
    with psycopg.connect(project.cluster.url().reveal(), autocommit=True, application_name="pg_net 0.20.4"):
        project.owner.execute("select autosync.dispatch()")
        _age(project, "10 minutes")
        project.must_fail("pg_net_queue_drains", names="1 of the newest 2 calls still wait there, the longest since")
        # with the default timeout of 30 s
        _age(project, "80 seconds")
        project.must_be_healthy()
    project.start_worker()
    project.owner.execute("select net.wake()")
    clusters.wait_for(lambda: not project.value("select count(*) from net.http_request_queue"), "the call to be sent")
    project.must_be_healthy()


@pytest.mark.skipif(not clusters.REAL_PG_NET, reason="only the real worker goes to sleep over a lock (F6)")
def test_call_that_the_real_worker_slept_over_is_the_root_cause_until_it_is_woken(project: Project) -> None:
    with clusters.connect(project.cluster, "supabase_admin") as holder, holder.transaction():
        holder.execute("lock table net._http_response in access exclusive mode")
        project.owner.execute("insert into net.http_request_queue (method, url, timeout_milliseconds)"
                              " values ('POST', 'http://127.0.0.1:1', 1000)")  # fmt: skip
        project.owner.execute("select net.wake()")
        holder.execute("select pg_sleep(2)")
    project.owner.execute(
        "insert into autosync.invocation (tick_id, job_name, request_id, timeout_milliseconds, server_epoch, queued_at)"
        " select t.id, t.job_name, q.id, 1000, t.server_epoch, now() - interval '10 minutes'"
        " from autosync.tick as t cross join net.http_request_queue as q"
    )
    project.must_fail("pg_net_queue_drains")
    project.run_remedy("pg_net_queue_drains")
    clusters.wait_for(lambda: not project.value("select count(*) from net.http_request_queue"), "the call to be sent")


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the server starts the real worker again")
def test_call_that_waits_for_a_worker_that_is_gone_is_explained_by_it(project: Project) -> None:
    project.stop_worker()
    project.owner.execute("select autosync.dispatch()")
    _age(project, "10 minutes")
    project.must_fail("pg_net_worker_running")
    project.must_be_blocked("pg_net_queue_drains", "pg_net_worker_running")
