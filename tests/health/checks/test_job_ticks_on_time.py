"""job_ticks_on_time: the ticks that a schedule has, on the clock that pg_cron reads it by."""

import dataclasses
from datetime import UTC, datetime

import pytest

from autosync_db import cron
from autosync_db.config import Settings
from autosync_db.health import status
from autosync_db.health.model import Status
from tests.health.actions import Action, admin, sql
from tests.health.checks.cases import runs
from tests.support.health import Project
from tests.support.trial import Trial

_MADE = sql(
    "insert into autosync.job (name, sql, schedule) values ('made', 'select 1', '* * * * *')",
    "select autosync.sync_job('made')",
)
# the history is as other tests left it, and this run of another job is its oldest
_RECORDED = admin(
    "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
    " values (0, -1, 'succeeded', now() - interval '1 day', now() - interval '1 day')"
)
_WATCHED = sql(
    "insert into autosync.job (name, watch) values ('made', true)", "select cron.schedule('made', '* * * * *', 'x')"
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


@pytest.mark.parametrize(
    ("schedule", "either", "both"),
    [
        # the 1st of July 2026 is a Wednesday
        ("0 5 1-7 * 0", ["07-02", "07-03"], ["07-05", "08-02"]),
        ("0 5 29 2 0", ["02-07", "02-14"], ["02-29", "02-29"]),
        ("0 5 $ * 5", ["07-03", "07-10"], ["07-31", "2027"]),
        ("0 5 * * 0", ["07-05", "07-12"], ["07-05", "07-12"]),
        ("0 5 30 2 0", ["02-07", "02-14"], []),
    ],
)
def test_ticks_match_both_days_where_pg_cron_is_set_to(schedule: str, either: list[str], both: list[str]) -> None:
    moment = datetime(2026, 7, 1, 16, 55, tzinfo=UTC)
    for both_days, expected in ((False, either), (True, both)):
        found = cron.ticks_after(schedule, moment, both_days=both_days)
        assert len(found) == len(expected), found
        for tick, part in zip(found, expected, strict=True):
            assert part in f"{tick:%Y-%m-%d}", found


@pytest.mark.parametrize(
    ("what", "acts", "says", "is_bad"),
    [
        ("just made", (_MADE,), (Status.OK, "no run, none is late"), False),
        ("late", (runs._later("3 hours"), _MADE), (Status.CRITICAL, "no run, and one is late"), True),
        ("only watched", (_WATCHED,), (Status.OK, "no run, none is late"), False),
        ("late and only watched", (runs._later("3 hours"), _WATCHED), (Status.UNKNOWN, "no run recorded"), False),
        ("no run is recorded", (runs._NOT_RECORDED, _MADE), (Status.UNKNOWN, "no run recorded"), False),
    ],
)
def test_status_says_of_a_job_without_a_run_what_verify_says(
    what: str, acts: tuple[Action[Project], ...], says: tuple[Status, str], is_bad: bool, project: Trial
) -> None:
    with project.undone():
        for act in (_RECORDED, *acts):
            act(project)
        project.configuration = dataclasses.replace(project.configuration, settings=Settings())
        found = status.collect(project.owner, Settings())
        [made] = [one for one in found.jobs if one.job.name == "made"]
        assert made.condition == says
        assert any("made" in words for _, words in found.troubles) == (says[0] is not Status.OK)
        late = {one.job for one in project.report(["job_ticks_on_time"]).root_causes if one.status is Status.CRITICAL}
        assert ("made" in late) == is_bad
