"""pg_net_preloaded: an extension without its library explains that no worker runs; the stand-in counts as loaded."""

import pytest

from autosync_db.health.model import Status
from autosync_db.jobs.calls import Cause
from tests.support import clusters, server
from tests.support.health import Project, result_of


def _drop_the_library(project: Project) -> None:
    if project.cluster.stand_in:
        # without its comment the stand-in is an extension without a library
        project.admin.execute("comment on extension pg_net is null")
        project.stop_worker()
    else:
        project.admin.execute("alter system set shared_preload_libraries = 'pg_cron'")
        server.restart(project, worker=False)


def _bring_the_library_back(project: Project) -> None:
    if project.cluster.stand_in:
        project.admin.execute("comment on extension pg_net is 'stand-in of a test'")
        project.start_worker()
    else:
        project.admin.execute("alter system reset shared_preload_libraries")
        project.restart_server()


def test_missing_library_is_the_root_cause_until_it_is_loaded(project: Project) -> None:
    _drop_the_library(project)
    project.record_run("failed", "ERROR:  pg_net is not in shared_preload_libraries")
    project.must_fail("pg_net_preloaded", names="is not in shared_preload_libraries")
    project.must_be_blocked("pg_net_worker_running", "pg_net_preloaded")
    project.must_be_blocked("job_runs_succeed", "pg_net_preloaded")

    _bring_the_library_back(project)
    assert project.call() is Cause.OK
    project.record_run("succeeded", "1 row")
    project.must_be_healthy()


def test_role_that_cannot_see_settings_says_which_grant_it_needs(project: Project) -> None:
    _drop_the_library(project)
    project.create_role("plain")
    found = result_of(project.report(["pg_net_preloaded"], role="plain"), "pg_net_preloaded")
    assert found.verdict.status is Status.UNKNOWN
    assert "grant pg_monitor to plain" in found.verdict.summary


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the real pg_net is no stand-in")
def test_stand_in_whose_worker_is_stopped_counts_as_loaded(project: Project) -> None:
    project.stop_worker()
    project.must_fail("pg_net_worker_running")


def test_role_without_pg_monitor_takes_the_worker_for_a_proof(project: Project) -> None:
    project.admin.execute("comment on extension pg_net is null")
    project.create_role("plain")
    found = result_of(project.report(["pg_net_preloaded"], role="plain"), "pg_net_preloaded")
    assert found.verdict.status is Status.OK
