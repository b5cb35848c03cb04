"""Schedules in seconds, by version of pg_cron; what pg_cron 1.6 says to the same texts was seen on a real one."""

from datetime import timedelta

import pytest

from autosync_db import cron
from autosync_db.errors import UsageError


@pytest.mark.parametrize("version", ["1.5", "1.6", "1.10", "2.0", None])
def test_seconds_are_taken_where_pg_cron_has_them_or_is_not_known(version: str | None) -> None:
    cron.check("5 seconds", version)


@pytest.mark.parametrize("version", ["1.3", "1.4", "1.4-1"])
def test_an_older_pg_cron_is_named_with_the_version_that_is_needed(version: str) -> None:
    with pytest.raises(UsageError) as caught:
        cron.check("5 seconds", version)
    assert caught.value.message == f"the schedule '5 seconds' needs pg_cron 1.5 or newer; this server has {version}"


@pytest.mark.parametrize("version", ["1.4-1", "1.5"])
def test_the_last_day_of_the_month_needs_pg_cron_1_6(version: str) -> None:
    with pytest.raises(UsageError, match=r"needs pg_cron 1\.6 or newer"):
        cron.check("0 0 $ * *", version)
    for newer in ("1.6", None):
        cron.check("0 0 $ * *", newer)


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("1 second", 1), ("1 seconds", 1), ("59 seconds", 59), ("30 Seconds", 30)]
)
def test_what_pg_cron_takes_has_a_period(schedule: str, seconds: int) -> None:
    cron.check(schedule, "1.6")
    assert cron.every(schedule) == timedelta(seconds=seconds)


@pytest.mark.parametrize("schedule", ["0 seconds", "60 seconds", "5 sec", "5s", "-5 seconds", "1.5 seconds"])
def test_what_pg_cron_refuses_is_refused_before(schedule: str) -> None:
    assert cron.every(schedule) is None
    with pytest.raises(UsageError):
        cron.check(schedule, "1.6")


def test_other_schedules_have_no_period() -> None:
    assert cron.every("*/5 * * * *") is None


@pytest.mark.parametrize(
    ("schedule", "kind", "still_ticks"),
    [
        ("@daily", None, None),
        (" */5 * * * * ", None, None),
        ("@reboot", "reboot", False),
        ("* * * * * *", "more_fields", True),
        ("* * * *", "fields", False),
        ("*/90 * * * *", "step", True),
        ("61 * * * *", "syntax", False),
        ("0 0 30 2 *", "syntax", False),
    ],
)
def test_schedule_of_a_job_is_judged_by_kind(schedule: str, kind: str | None, still_ticks: bool | None) -> None:
    fault = cron.misreading(schedule, "1.6")
    assert (fault and fault.kind, fault and fault.still_ticks) == (kind, still_ticks)


def test_schedule_in_seconds_on_an_older_pg_cron_is_a_matter_of_its_version() -> None:
    fault = cron.misreading("5 seconds", "1.4")
    assert fault is not None
    assert fault.kind == "version"
