"""When a job should have ticked, for the checks that look whether it did."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from autosync_db import cron

# a tick may wait for the launcher, for a connection and for the ten seconds in which a job may start
_GRACE = timedelta(seconds=90)

# since when pg_cron's history tells of all runs, of which the newest 1000 are looked at: somebody may have deleted rows
# of it, and with cron.log_run off it tells of none. The sequence shows that there were runs; a role may not see it
HISTORY = """(
    select jsonb_build_object(
        'oldest', (array_agg(i.start_time order by i.runid) filter (where i.start_time is not null))[1],
        'was_emptied', count(*) = 0 and exists (
            select from pg_catalog.pg_sequences as s
            where s.schemaname = 'cron' and s.sequencename = 'runid_seq' and s.last_value is not null
        ),
        'is_off', exists (
            select from pg_catalog.pg_settings as s where s.name = 'cron.log_run' and s.setting = 'off'
        )
    )
    from (select n.runid, n.start_time from cron.job_run_details as n order by n.runid desc limit 1000) as i
)"""


def moment(text: str | None) -> datetime | None:
    """Return a moment of an answer; None for none and for infinity."""
    return None if text is None or "infinity" in text else datetime.fromisoformat(text)


def shown(when: datetime | None) -> str:
    """Return a moment as it is printed."""
    return f"{when.astimezone(UTC):%Y-%m-%d %H:%M} UTC" if when else "(never)"


def recorded_since(history: Mapping[str, Any], since: datetime) -> datetime | None:
    """Return the moment, not before `since`, from which on HISTORY has every run; None where it shows nothing."""
    if history["is_off"] or history["was_emptied"]:
        return None
    return max(since, moment(history["oldest"]) or since)


def missed(
    schedule: str, last: datetime | None, since: datetime, now: datetime, *, zone: str | None, both_days: bool = False
) -> list[datetime]:
    """Return the two ticks by which a job is late; none when it is not. `since` is when it could first have ticked."""
    expected = cron.ticks_after(schedule, max(since, last) if last else since, zone, both_days=both_days)
    return expected if len(expected) == 2 and expected[1] + _GRACE < now else []
