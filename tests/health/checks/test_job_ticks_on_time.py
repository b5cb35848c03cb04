"""job_ticks_on_time: two ticks in a row that did not come are a fault, whatever else looks well."""

from datetime import UTC, datetime

import pytest

from autosync_db.health.checks import job_ticks_on_time
from autosync_db.health.model import Status
from autosync_db.jobs import cron
from tests.support import server
from tests.support.health import Project, result_of


@pytest.fixture
def hourly(project: Project) -> Project:
    """The healthy project with a job that ticks hourly, half an hour away from now."""
    schedule = f"{(datetime.now(UTC).minute + 30) % 60} * * * *"
    project.owner.execute("update autosync.job set schedule = %s", [schedule])
    project.owner.execute("select cron.alter_job(jobid, schedule := %s) from cron.job", [schedule])
    return project


def _look_later(monkeypatch: pytest.MonkeyPatch, ahead: str) -> None:
    """Let the check look from a later moment: no test has a server that has been up for hours."""
    monkeypatch.setattr(
        job_ticks_on_time, "_QUERY", job_ticks_on_time._QUERY.replace("now(),", f"now() + interval '{ahead}',", 1)
    )


def test_two_missed_ticks_are_the_root_cause_until_it_ticks(hourly: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _look_later(monkeypatch, "3 hours")
    hourly.add_schedule(next_run_at="now() - interval '100 days'")
    hourly.must_fail("job_ticks_on_time", names="it should have ticked at")
    hourly.must_be_blocked("schedules_not_overdue", "job_ticks_on_time")

    hourly.owner.execute("delete from public.auto_sync_schedules")
    hourly.record_run("succeeded", "1 row", ended="now() + interval '3 hours'")
    hourly.must_be_healthy()


def test_one_missed_tick_is_no_fault(hourly: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _look_later(monkeypatch, "1 hour 20 minutes")
    hourly.must_be_healthy()


def test_tick_by_hand_does_not_hide_the_missed_ones(hourly: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _look_later(monkeypatch, "3 hours")
    hourly.admin.execute("update autosync.tick set caller = 'autosync-db', ticked_at = now() + interval '3 hours'")
    hourly.must_fail("job_ticks_on_time")
    hourly.admin.execute("update autosync.tick set caller = 'pg_cron'")
    hourly.must_be_healthy()


def test_paused_and_just_rescheduled_jobs_miss_nothing(hourly: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _look_later(monkeypatch, "3 hours")
    hourly.owner.execute("update autosync.job set updated_at = now() + interval '2 hours'")
    hourly.must_be_healthy()
    hourly.owner.execute("update autosync.job set updated_at = now()")
    hourly.must_fail("job_ticks_on_time")
    hourly.run_command("job", "pause")
    hourly.must_be_healthy()


def test_job_that_never_ticked_misses_what_came_since_set_up(hourly: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    _look_later(monkeypatch, "3 hours")
    hourly.owner.execute("delete from autosync.tick")
    assert "it never ticked" in result_of(hourly.report(), "job_ticks_on_time").verdict.summary


def test_missed_ticks_of_a_launcher_that_is_gone_are_explained_by_it(
    hourly: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.lose_launcher(hourly)
    _look_later(monkeypatch, "3 hours")
    hourly.must_be_blocked("job_ticks_on_time", "pg_cron_scheduler_running")


def test_run_whose_time_was_not_written_down_counts_as_started(
    hourly: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    _look_later(monkeypatch, "3 hours")
    hourly.record_run("failed", "connection failed", ended=None)
    hourly.must_fail("job_can_connect")


def test_run_that_waited_for_its_predecessor_is_a_warning(project: Project) -> None:
    project.record_run_that_waited()
    project.must_fail(
        "job_ticks_on_time", status=Status.WARNING, names="had to wait for the one before, which took 100 s"
    )


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [
        # 18:55 in Paris is the last tick of the day there, which is 16:55 UTC in summer
        ("*/5 8-18 * * *", "Europe/Paris", ["2026-07-02 06:00", "2026-07-02 06:05"]),
        ("*/5 8-18 * * *", None, ["2026-07-01 17:00", "2026-07-01 17:05"]),
        ("@hourly", None, ["2026-07-01 17:00", "2026-07-01 18:00"]),
        ("*/5 * * * * *", None, ["2026-07-01 17:00", "2026-07-01 17:05"]),
        ("30 seconds", None, ["2026-07-01 16:55", "2026-07-01 16:56"]),
        ("@reboot", None, []),
    ],
)
def test_ticks_follow_the_schedule_on_the_clock_of_pg_cron(
    schedule: str, zone: str | None, expected: list[str]
) -> None:
    moment = datetime(2026, 7, 1, 16, 55, tzinfo=UTC)
    found = cron.ticks_after(schedule, moment, zone)
    assert [f"{tick:%Y-%m-%d %H:%M}" for tick in found] == expected
