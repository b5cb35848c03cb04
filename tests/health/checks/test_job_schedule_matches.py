"""job_schedule_matches: cron.job against autosync.job, and what pg_cron takes but reads otherwise."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project, result_of


def _reschedule(project: Project, schedule: str) -> None:
    """Give both sides a schedule; paused, because pg_cron would tick by it."""
    project.owner.execute("update autosync.job set paused_at = now(), paused_by = 'test', schedule = %s", [schedule])
    # past cron.alter_job(), which from 1.5 on refuses some of what older versions took and a restore brings along
    project.admin.execute(
        "update cron.job set schedule = %s, active = false where jobname = %s", [schedule, project.job_name]
    )


def test_other_schedule_is_the_root_cause_until_migrate(project: Project) -> None:
    project.owner.execute("select cron.alter_job(jobid, schedule := '0 0 2 1 *') from cron.job")
    project.must_fail("job_schedule_matches", names='ticks at "0 0 2 1 *", autosync.job says "0 0 1 1 *"')

    project.run_remedy("job_schedule_matches")
    project.must_be_healthy()


@pytest.mark.parametrize(
    ("schedule", "status", "told"),
    [
        ("*/5 * * * * *", Status.WARNING, 'pg_cron reads "*/5 * * * *" and ignores the rest'),
        ("* * * * * garbage", Status.WARNING, "more than five fields"),
        ("*/90 * * * *", Status.WARNING, "has the step 90, which is longer than its field"),
        ("0 0 30 2 *", Status.CRITICAL, "bad day-of-month"),
        ("@reboot", Status.CRITICAL, "ticks only when pg_cron's scheduler starts"),
    ],
)
def test_schedule_that_pg_cron_reads_otherwise_is_named(
    project: Project, schedule: str, status: Status, told: str
) -> None:
    _reschedule(project, schedule)
    project.must_fail("job_schedule_matches", status=status, names=told)


@pytest.mark.parametrize(
    "schedule", ["@hourly", "@daily", "*/5 * * * *", "0 7 * * 1-5", "0,30 22-23 1,15 * *", "0 0 * * 7"]
)
def test_plain_schedules_are_read_as_they_are_written(project: Project, schedule: str) -> None:
    _reschedule(project, schedule)
    project.must_be_healthy()


def test_schedule_in_seconds_that_this_version_cannot_read_is_named(project: Project) -> None:
    # such a row comes from a restore of a newer server
    project.owner.execute("update autosync.job set schedule = '30 seconds'")
    project.admin.execute("update cron.job set schedule = '30 seconds'")
    found = result_of(project.report(), "job_schedule_matches")
    version = project.value("select extversion from pg_extension where extname = 'pg_cron'")
    if version.startswith("1.4"):
        assert found.status is Status.CRITICAL
        assert "needs pg_cron 1.5 or newer" in found.verdict.summary
    else:
        assert found.status is Status.OK
