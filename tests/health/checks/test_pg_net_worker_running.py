"""pg_net_worker_running: requests that nobody sends are explained by the worker, not by the function."""

import pytest

from autosync_db.health.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of

stand_in_only = pytest.mark.skipif(clusters.REAL_PG_NET, reason="the server starts the real worker again")


@stand_in_only
def test_stopped_worker_is_the_root_cause_until_it_runs(project: Project) -> None:
    project.stop_worker()
    project.owner.execute("select autosync.dispatch()")
    project.must_fail("pg_net_worker_running", names="requests are queued and never sent")

    project.run_remedy("pg_net_worker_running")
    project.start_worker()
    project.must_be_healthy()


@stand_in_only
def test_project_that_never_called_is_explained_by_the_worker(project: Project) -> None:
    project.stop_worker()
    project.owner.execute("delete from autosync.tick")
    project.must_fail("pg_net_worker_running")
    for name in (
        "project_url_reachable",
        "function_answers_in_time",
        "function_deployed",
        "function_succeeds",
    ):
        project.must_be_blocked(name, "pg_net_worker_running")


@stand_in_only
def test_role_that_cannot_see_an_old_worker_says_unknown(project: Project) -> None:
    project.stop_worker()
    project.create_role("plain")
    only = ["pg_net_worker_running"]
    assert result_of(project.report(only, role="plain"), only[0]).verdict.status is Status.CRITICAL
    project.admin.execute("update pg_catalog.pg_extension set extversion = '0.7.1' where extname = 'pg_net'")
    assert result_of(project.report(only, role="plain"), only[0]).verdict.status is Status.UNKNOWN
    assert result_of(project.report(only), only[0]).verdict.status is Status.CRITICAL


def test_role_without_pg_monitor_sees_the_worker(project: Project) -> None:
    project.create_role("plain")
    found = result_of(project.report(["pg_net_worker_running"], role="plain"), "pg_net_worker_running")
    assert found.verdict.status is Status.OK
