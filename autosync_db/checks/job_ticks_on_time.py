"""The job has ticked when its schedule last said so."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from autosync_db import cron
from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection

# a tick may wait for the launcher, for a connection and for the ten seconds in which a job may start
_GRACE = timedelta(seconds=90)
_RUNS = 1000  # of all jobs, newest first: bounded, and by primary key

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_SECONDS = re.compile(r"(\d+) seconds?", re.IGNORECASE)

_FACTS = """
select c.schedule, c.active and j.paused_at is null, now(),
    greatest(autosync.server_epoch(), pg_catalog.pg_postmaster_start_time(), j.created_at, j.updated_at),
    (
        select t.ticked_at
        from (
            select k.ticked_at, k.caller
            from autosync.tick as k
            where k.job_name = c.jobname
            order by k.id desc
            limit 100
        ) as t
        -- a tick by hand through autosync-db does not show that pg_cron ticks; without a name it may be pg_cron's
        where t.caller like 'pg\\_cron%%' or t.caller = c.username
        order by t.ticked_at desc
        limit 1
    ),
    (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.timezone'),
    pg_catalog.pg_has_role('pg_read_all_settings', 'usage')
from cron.job as c
join autosync.job as j on j.name = c.jobname
where c.jobname = %s
order by c.jobid
limit 1
"""

_HISTORY = """
select c.jobname is not distinct from %s, d.start_time, d.end_time
from (select n.* from cron.job_run_details as n order by n.runid desc limit %s) as d
left join cron.job as c on c.jobid = d.jobid
order by d.runid desc
"""


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of the job; a failed connection has no times before pg_cron 1.6.3."""

    started_at: datetime | None
    ended_at: datetime | None


def _look(connection: Connection, configuration: Configuration) -> list[Row]:
    name = configuration.settings.job.name
    what = f"cron job {name}"
    facts = connection.execute(_FACTS, [name]).fetchone()
    if facts is None:
        return [Row("unknown", what, "does not exist")]
    schedule, is_on, now, since, ticked_at, zone, sees_settings = facts
    if not is_on:
        return []
    history = connection.execute(_HISTORY, [name, _RUNS]).fetchall()
    runs = [_Run(start, end) for own, start, end in history if own]
    if runs and runs[0].started_at is None:
        return []  # it was started; when, this version of pg_cron did not write down
    if len(history) == _RUNS:
        # what lies before the runs that were read cannot be said to be missing
        since = max([since, *(start for _, start, _ in history[-1:] if start)])
    last = max((moment for moment in (ticked_at, runs[0].started_at if runs else None) if moment), default=None)
    expected = _ticks_after(schedule, max(since, last) if last else since, zone)
    if len(expected) == 2 and expected[1] + _GRACE < now:
        seen = f"its last tick was at {_text(last)}" if last else "it never ticked"
        return [
            Row(
                "critical" if sees_settings else "unknown",
                what,
                f"{seen}; by its schedule {schedule} it should have ticked at {_text(expected[0])}"
                f" and {_text(expected[1])}"
                + ("" if sees_settings else ", unless cron.timezone, which is hidden from this role, moves it"),
            )
        ]
    return _late(what, runs)


def _ticks_after(schedule: str, moment: datetime, zone: str | None) -> list[datetime]:
    """Return the next two ticks after a moment; fewer when the schedule has no more or is not understood."""
    if seconds := _SECONDS.fullmatch(schedule.strip()):
        period = timedelta(seconds=int(seconds[1]))
        return [moment + period, moment + 2 * period]
    text = " ".join(_NAMED.get(schedule.strip(), schedule).split()[:5])
    try:
        place = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return []
    # schedules are read on the clock of cron.timezone, so they are followed on that clock
    wall = moment.astimezone(place).replace(tzinfo=UTC)
    found = []
    for _ in range(2):
        tick = cron.next_tick(text, wall)
        if tick is None:
            break
        wall = tick
        found.append(tick.replace(tzinfo=place).astimezone(UTC))
    return found


def _late(what: str, runs: list[_Run]) -> list[Row]:
    """Return a warning when the newest run had to wait for its predecessor, which pg_cron starts back to back."""
    if len(runs) < 2:
        return []
    start, before = runs[0].started_at, runs[1]
    if start is None or before.started_at is None or before.ended_at is None:
        return []
    took = before.ended_at - before.started_at
    waited = timedelta(0) <= start - before.ended_at < timedelta(seconds=1)
    if took < timedelta(minutes=1) or not waited or start.second < 5:
        return []
    detail = f"its run at {_text(start)} had to wait for the one before, which took {took.total_seconds():.0f} s"
    return [Row("warning", what, detail)]


def _text(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if moment else "(never)"


CHECK = Check(
    layer="job",
    claim="the job has ticked when its schedule last said so",
    remedy=(
        "# restart PostgreSQL (on Supabase: Project Settings > General > Restart project),"
        " then: autosync-db verify --wait 10m"
    ),
    needs=("job_scheduled", "head_applied"),
    causes=(
        "pg_cron_scheduler_running",
        "job_scheduled",
        "job_active",
        "job_owner_matches",
        "job_schedule_matches",
        "no_stuck_runs",
        "server_writable",
        "cron_database_matches",
        "cron_run_sequence_ahead",
        "pg_cron_not_blocked",
        "no_triggers_on_cron_tables",
        "cron_jobs_launched",
        "cron_slots_free",
    ),
    look=_look,
)
