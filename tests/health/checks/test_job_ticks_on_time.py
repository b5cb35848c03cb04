"""job_ticks_on_time: the ticks that a schedule has, on the clock that pg_cron reads it by."""

from datetime import UTC, datetime

import pytest

from autosync_db import cron


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
