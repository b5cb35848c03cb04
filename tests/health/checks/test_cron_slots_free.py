"""cron_slots_free: whatever the next run would wait for or be refused is named with its limit."""

from contextlib import ExitStack

import psycopg
import pytest

from autosync_db.health.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of

ONLY = ["cron_slots_free"]


def test_used_up_limit_of_the_role_is_the_root_cause_of_failed_connections(project: Project) -> None:
    project.stop_worker()
    project.record_run("failed", "connection failed")
    with clusters.connect(project.cluster):
        project.admin.execute("alter role postgres connection limit 1")
        found = result_of(project.report(), ONLY[0])
        assert (found.status, found.verdict.summary) == (
            Status.CRITICAL,
            "role postgres: allows 1 connections, and 1 are taken: pg_cron needs one more to run the job",
        )
        project.must_be_blocked("job_runs_succeed", "cron_slots_free")

    project.admin.execute("alter role postgres connection limit -1")
    project.owner.execute("truncate cron.job_run_details")
    project.start_worker()
    project.must_be_healthy()


def test_limit_of_the_database_and_of_the_server(project: Project) -> None:
    project.admin.execute("alter database postgres connection limit 1")
    project.must_fail(*ONLY, names="database postgres: allows 1 connections")
    project.admin.execute("alter database postgres connection limit -1")
    project.must_be_healthy()

    project.admin.execute("alter system set max_connections = 12")
    project.restart_server()
    project.must_be_healthy()
    with ExitStack() as stack:
        while (found := result_of(project.report(ONLY), ONLY[0])).status is Status.OK:
            stack.enter_context(clusters.connect(project.cluster, "supabase_admin"))
        assert found.status is Status.WARNING
        assert "setting max_connections: allows 9 connections, and 7 are taken" in found.verdict.summary
        for _ in range(2):
            stack.enter_context(clusters.connect(project.cluster, "supabase_admin"))
        project.must_fail(*ONLY, names="allows 9 connections, and 9 are taken")
    clusters.wait_for(lambda: not project.report(ONLY).root_causes, "the end of the connections")


def test_long_runs_take_pg_crons_own_slots(project: Project) -> None:
    project.admin.execute("alter system set cron.max_running_jobs = 1")
    project.restart_server()
    url = project.cluster.url().reveal()
    with psycopg.connect(url, autocommit=True, application_name="pg_cron") as run:
        project.record_run("running", "")
        project.admin.execute("update cron.job_run_details set job_pid = %s, end_time = null", [run.info.backend_pid])
        assert result_of(project.report(ONLY), ONLY[0]).status is Status.OK
        project.admin.execute("update cron.job_run_details set start_time = now() - interval '2 minutes'")
        found = result_of(project.report(ONLY), ONLY[0])
        assert found.status is Status.CRITICAL
        assert "allows 1 jobs at a time, and 1 have been running" in found.verdict.summary
    # the row alone, whose process is gone, takes no slot
    clusters.wait_for(lambda: not project.report(ONLY).root_causes, "the end of the run")


@pytest.mark.skipif(clusters.REAL_PG_NET, reason="the real pg_net's own worker needs one of those that are taken away")
def test_background_workers_are_needed_in_that_mode_alone(project: Project) -> None:
    project.admin.execute("alter system set max_worker_processes = 2")
    project.restart_server()
    project.must_be_healthy()
    project.admin.execute("alter system set cron.use_background_workers = on")
    project.restart_server()
    project.must_fail(*ONLY, names="allows 2 background workers, and 2 are taken")
    project.admin.execute("alter system set max_worker_processes = 16")
    project.restart_server()
    project.must_be_healthy()
