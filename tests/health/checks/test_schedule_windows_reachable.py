"""schedule_windows_reachable: a window that no tick falls into is named, and one that is merely narrow is not."""

import pytest

from autosync_db.health.model import Status
from tests.support.health import Project, result_of

ID = "schedule_windows_reachable"


def _tick(project: Project, schedule: str) -> None:
    project.owner.execute("update autosync.job set schedule = %s", [schedule])
    project.owner.execute("select autosync.sync_job()")


def _window(project: Project, start: str, end: str, timezone: str = "UTC") -> None:
    project.add_schedule(
        next_run_at="now() + interval '1 hour'",
        time_window_enabled=True,
        time_window_start=start,
        time_window_end=end,
        timezone=timezone,
    )


def test_window_between_two_ticks_is_the_root_cause_until_it_is_widened(project: Project) -> None:
    _tick(project, "*/5 * * * *")
    _window(project, "08:01", "08:04")
    _window(project, "08:01", "08:04")
    project.must_fail(ID, names="2 schedules never run: the window 08:01:00 to 08:04:00 (UTC) contains no tick")

    project.owner.execute("update public.auto_sync_schedules set time_window_end = '08:06'")
    project.must_be_healthy()


def test_zone_that_the_server_does_not_know_is_named(project: Project) -> None:
    _window(project, "00:00", "23:59", "Mars/Olympus")
    found = result_of(project.report([ID]), ID)
    assert found.status is Status.CRITICAL
    assert "the server knows no time zone 'Mars/Olympus'" in found.verdict.summary


# schedule of the job, window, zone, whether some tick falls into it
CASES = [
    ("*/5 * * * *", "08:05", "08:06", "UTC", True),
    ("*/5 * * * *", "08:04", "08:05", "UTC", False),
    ("*/5 * * * *", "23:58", "00:01", "UTC", True),
    ("*/5 * * * *", "23:56", "23:59", "UTC", False),
    ("* * * * *", "08:01", "08:02", "UTC", True),
    ("0 * * * *", "08:10", "08:50", "UTC", False),
    ("0 * * * *", "08:10", "09:10", "UTC", True),
    ("0 * * * *", "08:10", "08:20", "Asia/Kathmandu", False),
    ("0 * * * *", "08:40", "08:50", "Asia/Kathmandu", True),
    ("@hourly", "08:10", "08:50", "UTC", False),
    ("@daily", "08:00", "20:00", "UTC", False),
    ("0 6 * * *", "08:00", "20:00", "UTC", False),
    ("0 6 * * *", "08:00", "20:00", "Asia/Tokyo", True),
    ("0 6 * * *", "22:00", "06:01", "UTC", True),
    ("0,30 8-10/2 * * *", "10:20", "10:40", "UTC", True),
    ("0,30 8-10/2 * * *", "09:00", "09:40", "UTC", False),
    ("7-59/20 * * * *", "09:26", "09:28", "UTC", True),
    # days and names prove nothing
    ("0 6 * * 1", "08:00", "20:00", "UTC", True),
    ("@weekly", "08:00", "20:00", "UTC", True),
]


def test_ticks_are_counted_in_the_windows_own_zone(project: Project) -> None:
    for schedule, start, end, zone, reachable in CASES:
        project.owner.execute("update autosync.job set schedule = %s", [schedule])
        _window(project, start, end, zone)
        found = result_of(project.report([ID]), ID)
        assert (found.verdict.status is Status.OK) is reachable, (schedule, start, end, zone)
        project.owner.execute("delete from public.auto_sync_schedules")


@pytest.mark.parametrize("columns", [{"enabled": False}, {"time_window_enabled": False}], ids=["schedule", "window"])
def test_what_is_off_is_never_missed(project: Project, columns: dict[str, object]) -> None:
    _tick(project, "*/5 * * * *")
    given = {"next_run_at": "now() + interval '1 hour'", "time_window_enabled": True, **columns}
    project.add_schedule(**given, time_window_start="08:01", time_window_end="08:02")
    project.must_be_healthy()


def test_zone_without_summer_time_is_a_warning(project: Project) -> None:
    for zone in ("EST", "UTC+2", "Europe/Paris"):
        _window(project, "00:00", "23:59", zone)
    found = result_of(project.report([ID]), ID)
    assert found.status is Status.WARNING
    assert {item.detail.split(",")[1] for item in found.verdict.evidence} == {" 'EST'", " 'UTC+2'"}
