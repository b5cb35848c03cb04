"""no_stuck_runs: a run that does not end is named with its process and with what it waits for."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest

from tests.support import clusters
from tests.support.health import Project, result_of


@contextmanager
def _running(project: Project, statement: str, minutes: int) -> Iterator[Future[object]]:
    """Yield a statement that runs as pg_cron would run it, in a run that began so many minutes ago."""
    with (
        psycopg.connect(project.cluster.url().reveal(), autocommit=True, application_name="pg_cron") as connection,
        ThreadPoolExecutor(1) as pool,
    ):
        process = connection.info.backend_pid
        future: Future[object] = pool.submit(connection.execute, statement.encode())
        project.record_run("running", "", ended=None)
        project.admin.execute(
            "update cron.job_run_details set job_pid = %s, start_time = now() - make_interval(mins => %s)"
            " where runid = (select max(runid) from cron.job_run_details)",
            [process, minutes],
        )
        clusters.wait_for(
            lambda: project.value("select state = 'active' from pg_stat_activity where pid = %s", [process]),
            "the run",
        )
        try:
            yield future
        finally:
            project.admin.execute("select pg_cancel_backend(%s)", [process])
            future.exception(timeout=20)


def test_stuck_run_is_the_root_cause_until_it_is_cancelled(project: Project) -> None:
    project.add_schedule(next_run_at="now() - interval '100 days'")
    with _running(project, "select pg_sleep(300)", minutes=6) as run:
        project.must_fail("no_stuck_runs", names="waiting for Timeout PgSleep")
        project.must_be_blocked("schedules_not_overdue", "no_stuck_runs")

        project.owner.execute("delete from public.auto_sync_schedules")
        project.run_remedy("no_stuck_runs")
        with pytest.raises(psycopg.errors.QueryCanceled):
            run.result(timeout=20)
    clusters.wait_for(
        lambda: not project.value("select count(*) from pg_stat_activity where application_name = 'pg_cron'"),
        "the end of the run's process",
    )
    project.must_be_healthy()


def test_run_that_waits_for_a_lock_names_the_process_that_holds_it(project: Project) -> None:
    with clusters.connect(project.cluster, "supabase_admin") as holder, holder.transaction():
        holder.execute("lock table public.auto_sync_schedules in exclusive mode")
        waiting = "begin; lock table public.auto_sync_schedules in share mode; rollback"
        with _running(project, waiting, minutes=6):
            clusters.wait_for(
                lambda: project.value("select count(*) from pg_locks where not granted"), "the run to wait"
            )
            project.must_fail("no_stuck_runs", names=f"blocked by process {holder.info.backend_pid}")


def test_run_of_four_minutes_is_no_fault(project: Project) -> None:
    with _running(project, "select pg_sleep(300)", minutes=4):
        project.must_be_healthy()


def test_row_of_a_process_that_is_gone_only_informs(project: Project) -> None:
    project.record_run("sending", "", ended="now() - interval '2 hours'")
    found = result_of(project.must_be_healthy(), "no_stuck_runs")
    assert "is recorded as sending, but its process is gone" in found.verdict.summary


def test_process_of_a_later_run_of_another_job_does_not_revive_a_row(project: Project) -> None:
    with _running(project, "select pg_sleep(300)", minutes=6):
        project.admin.execute(
            "insert into cron.job_run_details (jobid, runid, job_pid, status, start_time)"
            " select 4711, nextval('cron.runid_seq'), job_pid, 'running', now() from cron.job_run_details"
            " order by runid desc limit 1"
        )
        project.must_be_healthy()
