"""Schedules as pg_cron reads them.

pg_cron takes much that is not meant: a sixth field is ignored, a step larger than its range fires once an hour, and the
30th of February never comes (docs/checks, job_schedule_matches). Here such a text is refused.
"""

import re
from datetime import UTC, datetime, timedelta

from cronsim import CronSim, CronSimError

from autosync_db.errors import UsageError

_SECONDS = re.compile(r"([1-9]|[1-5]\d) seconds?", re.IGNORECASE)
_EXAMPLES = "use five fields like */5 * * * *"
SECONDS_SINCE = (1, 5)  # the version of pg_cron that brought schedules in seconds


def check(schedule: str, pg_cron_version: str | None = None) -> None:
    """Return if `schedule` is one that pg_cron runs as it reads; raise UsageError with the reason if not.

    `pg_cron_version`, where known, decides about schedules in seconds.
    """
    if every(schedule):
        if pg_cron_version is not None and _numbers(pg_cron_version) < SECONDS_SINCE:
            raise UsageError(
                f"the schedule {schedule!r} needs pg_cron 1.5 or newer; this server has {pg_cron_version}",
                hint="use five fields; the shortest schedule is every minute: * * * * *",
            )
        return
    if len(schedule.split()) != 5:
        raise UsageError(f"the schedule {schedule!r} has not five fields", hint=_EXAMPLES)
    for field, limit in zip(schedule.split(), (59, 23, 31, 12, 7), strict=True):
        step = re.search(r"/(\d+)$", field)
        if step and int(step[1]) > limit:
            raise UsageError(
                f"the schedule {schedule!r} has the step {step[1]}, which is longer than its field",
                hint=_EXAMPLES,
            )
    try:
        next(_ticks(schedule, datetime.now(UTC)))
    except CronSimError as error:
        raise UsageError(f"the schedule {schedule!r} is not understood: {str(error).lower()}", hint=_EXAMPLES) from None
    except StopIteration:
        raise UsageError(f"the schedule {schedule!r} never comes", hint=_EXAMPLES) from None


def every(schedule: str) -> timedelta | None:
    """Return the period of a schedule in seconds; None for any other."""
    found = _SECONDS.fullmatch(schedule)
    return timedelta(seconds=int(found[1])) if found else None


def next_tick(schedule: str, after: datetime) -> datetime | None:
    """Return the first tick after a moment, in UTC; None for a schedule in seconds or one that is not understood."""
    try:
        return next(_ticks(schedule, after), None)
    except CronSimError:
        return None


def _ticks(schedule: str, after: datetime) -> CronSim:
    # `$` is pg_cron's last day of the month, which others write L
    return CronSim(schedule.replace("$", "L"), after.astimezone(UTC))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
