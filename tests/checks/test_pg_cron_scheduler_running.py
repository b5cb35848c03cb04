"""pg_cron_scheduler_running: a launcher that was terminated is the root cause of whatever waits."""

from autosync_db.checks.model import Status
from tests.support import clusters
from tests.support.health import Project, result_of


def test_terminated_launcher_is_the_root_cause_until_a_restart(project: Project) -> None:
    # pg_cron 1.4 leaves for good; later versions come back after a second, which this test cannot wait away
    project.admin.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'pg_cron scheduler'"
    )
    clusters.wait_for(
        lambda: (
            not project.admin.execute(
                "select 1 from pg_stat_activity where application_name = 'pg_cron scheduler'"
            ).fetchone()
        ),
        "the launcher's end",
    )
    project.add_schedule(next_run_at="now() - interval '100 days'")
    project.must_fail("pg_cron_scheduler_running", names="no such process is connected")
    project.must_be_blocked("schedules_not_overdue", "pg_cron_scheduler_running")

    project.owner.execute("delete from public.auto_sync_schedules")
    project.restart_server()
    project.must_be_healthy()


def test_role_without_pg_monitor_sees_the_launcher(project: Project) -> None:
    project.create_role("plain")
    found = result_of(
        project.report(["pg_cron_scheduler_running"], role="plain"), "pg_cron_scheduler_running"
    )
    assert found.status is Status.OK
