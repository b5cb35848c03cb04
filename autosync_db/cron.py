"""Schedules as pg_cron reads them.

pg_cron accepts schedules that do not do what they say: a sixth field is ignored, a step larger than its range fires
once an hour, and the 30th of February never comes (docs/checks, job_schedule_matches). Such a text is refused here, and
so is what other programs accept and pg_cron does not: `5/15`, a step without a range (get_range() in its src/entry.c).
"""

import re
from collections.abc import Hashable
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from typing import Literal, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from autosync_db.errors import UsageError

# TryParseInterval() in its src/job_metadata.c
_SECONDS = re.compile(r"[ \t-\r]*\+?0*([1-9]|[1-5][0-9])[ \t-\r]*second(?:s[ \t-\r]*)?", re.IGNORECASE)
# what pg_cron takes for a blank, and all characters that a schedule may have
_BLANKS = " \t"
_READABLE = re.compile(r"[\x21-\x7e \t]*")
_STEP_IN_ONE = re.compile(r"(?<![\w-])(\w+)-\1/\d+(?![\w/])", re.IGNORECASE)
_STEP_WITHOUT_RANGE = re.compile(r"(?:^|,)(\w+)/(\d+)")
_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXAMPLES = "use five fields like */5 * * * *"
SECONDS_SINCE = (1, 5)  # the version of pg_cron that brought schedules in seconds
LAST_DAY_SINCE = (1, 6)  # and the one that brought `$` for the last day of a month


class Fault(NamedTuple):
    """Why pg_cron does not run a schedule as it is written: the kind, the reason to print, and what to do instead."""

    kind: Literal["reboot", "fields", "version", "step", "syntax", "never", "more_fields"]
    reason: str
    hint: str = _EXAMPLES

    @property
    def still_ticks(self) -> bool:
        """Whether pg_cron runs such a schedule at times that can be foreseen, though not at those that are written."""
        return self.kind in {"more_fields", "step"}


def check(schedule: str, pg_cron_version: str | None = None) -> None:
    """Return if `schedule` is one that pg_cron runs as it is written; raise UsageError with the reason if not.

    `pg_cron_version`, where known, decides about schedules in seconds and about `$`.
    """
    if fault := _fault(schedule, pg_cron_version):
        raise UsageError(f"the schedule {schedule!r} {fault.reason}", hint=fault.hint)


def misreading(schedule: str, pg_cron_version: str | None) -> Fault | None:
    """Return what pg_cron makes of a schedule that is in cron.job; None when it runs as it is written."""
    line, *others = _lines(schedule)
    fields = _fields(line)
    if fields[:1] in (["@reboot"], ["@restart"]):
        return Fault("reboot", "ticks only when pg_cron's scheduler starts")
    is_named = bool(fields) and fields[0] in _NAMED
    most = 1 if is_named else 5
    if len(fields) > most:
        what = "one word" if is_named else "five fields"
    elif fault := None if is_named else _fault(line, pg_cron_version):
        return fault
    elif any(others):
        what = "one line"
    else:
        return None
    shown = " ".join(fields[:most])
    return Fault("more_fields", f'has more than {what}: pg_cron reads "{shown}" and ignores the rest')


def ticks_after(
    schedule: str, moment: datetime, zone: str | None = None, *, both_days: bool = False, count: int = 2
) -> list[datetime]:
    """Return the next ticks of a schedule in cron.job after a moment, in UTC; fewer when there are no more.

    `zone` is cron.timezone; there are none when it, or the schedule, is not understood. `both_days` is
    cron.match_dom_and_dow: day of the month and day of the week must match, not one of them.
    """
    if period := every(schedule):
        return [moment + number * period for number in range(1, count + 1)]
    text = as_read(schedule)
    try:
        place = ZoneInfo(zone or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        return []
    # schedules are read on the clock of cron.timezone, so they are followed on that clock
    wall = moment.astimezone(place).replace(tzinfo=UTC)
    found = []
    for _ in range(count):
        tick = next_tick(text, wall, both_days=both_days)
        if tick is None:
            break
        wall = tick
        found.append(tick.replace(tzinfo=place).astimezone(UTC))
    return found


def count_ticks(schedule: str, first: date, days: int, *, both_days: bool = False) -> int | None:
    """Return how often a schedule ticks on `days` days from `first` on, on the clock of cron.timezone.

    None when that is not foreseen: @reboot, or a text that is not understood. Of a schedule in seconds it is the most
    there can be. An hour that a clock change skips or repeats is counted once.
    """
    if period := every(schedule):
        return days * int(timedelta(days=1) / period)
    fields = as_read(schedule).split(" ")
    if len(fields) != 5:
        return None
    minute, hour, day, month, weekday = fields
    begin = datetime.combine(first, time(), UTC)
    try:
        # whatever the day, it ticks at the same times of it
        times = _ticks(f"{minute} {hour} * {month} {weekday}", begin)
        _ticks(f"0 0 {day} * *", begin)
    except CronSimError:
        return None
    count, tick = 0, begin - timedelta(minutes=1)
    # the 30th of February is no error here: it never comes
    while found := next_tick(f"0 0 {day} {month} {weekday}", tick, both_days=both_days):
        if found >= begin + timedelta(days=days):
            break
        count, tick = count + 1, found
    return count * len(times.minutes) * len(times.hours)


def as_read(schedule: str) -> str:
    """Return what pg_cron reads of a schedule in cron.job, in fields: no name, no comment, no second line."""
    fields = _fields(_lines(schedule)[0])
    return _NAMED[fields[0]] if fields and fields[0] in _NAMED else " ".join(fields[:5])


def plain(schedule: str) -> str:
    """Return a schedule in the form that it shares with others of the same meaning, as far as its text shows that."""
    return " ".join("*" if field == "*/1" else field for field in as_read(schedule.lower()).split(" "))


@cache
def times(schedule: str) -> Hashable:
    """Return what is equal for schedules in cron.job that are read as the same times, however they are written."""
    try:
        found = _ticks(as_read(schedule), datetime(2000, 1, 1, tzinfo=UTC))
    except CronSimError:
        return plain(schedule)
    weekdays = {0 if day == 7 else day for day in found.weekdays}
    parts = (found.minutes, found.hours, found.days, found.months, weekdays)
    return (*(tuple(sorted(part, key=str)) for part in parts), found.day_and)


def same(one: str, other: str) -> bool:
    """Return whether two schedules in cron.job are read as the same times, however they are written."""
    return plain(one) == plain(other) or times(one) == times(other)


def every(schedule: str) -> timedelta | None:
    """Return the period of a schedule in seconds; None for any other."""
    found = _SECONDS.fullmatch(schedule)
    return timedelta(seconds=int(found[1])) if found else None


def next_tick(schedule: str, after: datetime, *, both_days: bool = False) -> datetime | None:
    """Return the first tick after a moment, in UTC; None for a schedule in seconds or one that is not understood."""
    fields = _fields(schedule)
    try:
        if both_days and len(fields) == 5:
            minute, hour, day, month, weekday = fields
            return _common_tick(f"{minute} {hour} {day} {month} *", f"{minute} {hour} * {month} {weekday}", after)
        return next(_ticks(schedule, after), None)
    except CronSimError:
        return None


def _common_tick(one: str, other: str, after: datetime) -> datetime | None:
    """Return the first tick that both schedules have; None when there is none for years."""
    for _ in range(1000):  # the 29th of February is a Sunday every 28 years
        ticks = [next(_ticks(schedule, after), None) for schedule in (one, other)]
        found = [tick for tick in ticks if tick]
        if len(found) < 2:
            return None
        if found[0] == found[1]:
            return found[0]
        after = max(found) - timedelta(minutes=1)
    return None


def _fault(schedule: str, pg_cron_version: str | None) -> Fault | None:
    if not _READABLE.fullmatch(schedule):
        return Fault("syntax", "holds a line break or other characters that no schedule has")
    since = SECONDS_SINCE if every(schedule) else LAST_DAY_SINCE if "$" in schedule else None
    if pg_cron_version is not None and since and _numbers(pg_cron_version) < since:
        return Fault(
            "version",
            f"needs pg_cron {since[0]}.{since[1]} or newer; this server has {pg_cron_version}",
            "use five fields of numbers; the shortest schedule is every minute: * * * * *",
        )
    if every(schedule):
        return None
    if len(_fields(schedule)) != 5:
        named = _NAMED.get(schedule.strip(_BLANKS))
        return Fault("fields", "has not five fields", f"write {named}" if named else _EXAMPLES)
    for field, limit in zip(_fields(schedule), (59, 23, 31, 12, 7), strict=True):
        if lone := _STEP_WITHOUT_RANGE.search(field):
            reason = f"has {lone[1]}/{lone[2]}, a step without a range, which pg_cron refuses"
            return Fault("syntax", reason, f"write {lone[1]}-{limit}/{lone[2]}")
        step = re.search(r"/(\d+)$", field)
        if step and int(step[1]) > limit:
            return Fault("step", f"has the step {step[1]}, which is longer than its field")
    try:
        next(_ticks(schedule, datetime.now(UTC)))
    except CronSimError as error:
        return Fault("syntax", f"is not understood: {str(error).lower()}")
    except StopIteration:
        return Fault("never", "never comes")
    return None


def _lines(schedule: str) -> list[str]:
    """Return the lines that pg_cron does not skip, of which it reads the first; an empty one where there are none.

    Blank lines and comments: skip_comments() in its src/misc.c.
    """
    if period := every(schedule):
        return [f"{period.seconds} seconds"]
    lines = (line.strip(_BLANKS) for line in schedule.split("\n"))
    # behind the last field it reads over anything, so over the end of a line as Windows writes it
    found = [
        line if line.startswith("@") else line.removesuffix("\r").rstrip(_BLANKS)
        for line in lines
        if line and not line.startswith("#")
    ]
    # a period stands alone
    return found if found and not every(found[0]) else [""]


def _fields(schedule: str) -> list[str]:
    """Return the fields as pg_cron splits them; str.split() also splits at blanks that are part of a field there."""
    return re.findall(rf"[^{_BLANKS}]+", schedule)


def _ticks(schedule: str, after: datetime) -> CronSim:
    # `$` is pg_cron's last day of the month, which others write L; a step in a range of one leads nowhere
    text = _STEP_IN_ONE.sub(r"\1", schedule.replace("$", "L"))
    return CronSim(text, after.astimezone(UTC))


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:2])
