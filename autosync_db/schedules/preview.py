"""When a schedule runs: the rules of docs/explanation/next-run-at.md in plain Python, without a database.

The trigger computes next_run_at in SQL by asking Postgres for local times. This module starts from the other
end: it lists the stretches of time in which a zone keeps one offset, and looks the answer up in them. Neither
is derived from the other, so each is a check on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

DAY = timedelta(days=1)
ABBREVIATIONS = {"CET", "EET", "EST", "HST", "MET", "MST", "WET"}
LONGEST_BACKOFF = DAY
# clocks never change twice within a sample, and a window opens within four days of any instant
_SAMPLE = timedelta(hours=6)
_BEFORE = timedelta(days=6)
_AFTER = timedelta(days=10)


@dataclass(frozen=True, slots=True)
class Window:
    """A daily time window [start, end) on the clocks of a zone; an end before the start crosses midnight."""

    start: time
    end: time

    def __post_init__(self) -> None:
        if self.start == self.end:
            raise ValueError(f"a window's end must differ from its start, both are {self.start}")

    @property
    def length(self) -> timedelta:
        """The time the window is open on a day without a change of clocks."""
        return (datetime.combine(date.min, self.end) - datetime.combine(date.min, self.start)) % DAY


@dataclass(frozen=True, slots=True)
class Run:
    """One planned run: the instant in UTC, the same on the zone's clocks, and what the clocks did to it."""

    at: datetime
    local: datetime
    note: str | None


@dataclass(frozen=True, slots=True)
class _Stretch:
    """From begin up to end (UTC, naive) the zone's clocks are ahead of UTC by offset."""

    begin: datetime
    end: datetime
    offset: timedelta


def find_zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name, in whatever case.

    Raises ValueError when there is none, and for abbreviations: they are zones without daylight saving time.
    """
    if name.upper() in ABBREVIATIONS:
        raise ValueError(f"timezone must be UTC or an IANA name such as Europe/Paris, not {name!r}")
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        for known in available_timezones():
            if known.lower() == name.lower():
                return ZoneInfo(known)
    raise ValueError(f"timezone must be UTC or an IANA name such as Europe/Paris, not {name!r}")


def window_opening(at: datetime, window: Window, zone: ZoneInfo) -> datetime:
    """Return the first instant, not before `at`, that lies inside the window; aware, in UTC."""
    instant = _naive(at)
    for opens, closes in _openings(instant, window, zone):
        if instant < closes:
            return max(opens, instant).replace(tzinfo=UTC)
    raise AssertionError("a window opens every day")


def next_run(
    *,
    enabled: bool,
    last_run_at: datetime | None,
    frequency_minutes: int,
    window: Window | None,
    zone: ZoneInfo,
    at: datetime,
    consecutive_failures: int = 0,
    not_after: datetime | None = None,
) -> datetime | None:
    """Return when the schedule is next due, in UTC; None for a disabled one.

    `at` is the instant from which a schedule that never ran may run. `not_after` ends the wait for the
    frequency, as a change of settings does.
    """
    if not enabled:
        return None
    earliest = at
    if last_run_at is not None:
        earliest = last_run_at.astimezone(UTC) + wait_after(frequency_minutes, consecutive_failures)
        if not_after is not None and not_after < earliest:
            earliest = not_after
    return earliest.astimezone(UTC) if window is None else window_opening(earliest, window, zone)


def wait_after(frequency_minutes: int, consecutive_failures: int) -> timedelta:
    """Return the wait after a run: the frequency, doubled with each failure after the first, up to a day."""
    frequency = timedelta(minutes=frequency_minutes)
    wait = frequency
    for _ in range(consecutive_failures - 1):
        wait *= 2
        if wait >= LONGEST_BACKOFF:
            return max(frequency, LONGEST_BACKOFF)
    return wait


def preview(
    *, frequency_minutes: int, window: Window | None, zone: ZoneInfo, at: datetime, count: int
) -> Iterator[Run]:
    """Yield the next `count` runs of a schedule enabled at `at`, each run starting the moment it is due."""
    previous: datetime | None = None
    for _ in range(count):
        due = next_run(
            enabled=True,
            last_run_at=previous,
            frequency_minutes=frequency_minutes,
            window=window,
            zone=zone,
            at=at,
        )
        assert due is not None
        yield Run(due, due.astimezone(zone), _note(previous or due, due, window, zone))
        previous = due


def _note(previous: datetime, due: datetime, window: Window | None, zone: ZoneInfo) -> str | None:
    notes = []
    since, instant = _naive(previous), _naive(due)
    stretches = _stretches_between(zone, since - _BEFORE, instant + _SAMPLE)
    for before, after in pairwise(stretches):
        if since < after.begin <= instant:
            change = after.offset - before.offset
            way = "forward" if change > timedelta(0) else "back"
            notes.append(f"clocks went {way} {_span(abs(change))} at {after.begin + before.offset:%Y-%m-%d %H:%M}")
        if window is not None and instant == after.begin and after.offset > before.offset:
            shown = (instant + before.offset, instant + after.offset)
            for day in (shown[0].date() - DAY, shown[0].date(), shown[1].date()):
                opening = datetime.combine(day, window.start)
                if shown[0] <= opening < shown[1]:
                    notes.append(f"{opening:%H:%M} was skipped, the window opened when the skip ended")
                    break
    if due.astimezone(zone).fold:
        notes.append("the clocks show this time for the second time")
    return "; ".join(notes) or None


def _span(length: timedelta) -> str:
    minutes = int(length.total_seconds()) // 60
    return f"{minutes // 60}:{minutes % 60:02d}"


def _openings(instant: datetime, window: Window, zone: ZoneInfo) -> Iterator[tuple[datetime, datetime]]:
    """Yield (opens, closes) for each local date that exists, from before the instant on."""
    stretches = _stretches(zone, instant)
    day = (instant - 3 * DAY).date()
    while True:
        opening = datetime.combine(day, window.start)
        opens, closes = _first(opening, stretches), _first(opening + window.length, stretches)
        midnight = datetime.combine(day, time())
        exists = _first(midnight, stretches) < _first(midnight + DAY, stretches)
        if opens == closes and exists:
            closes = opens + window.length
        if opens < closes:
            yield opens, closes
        day += DAY


def _first(wall: datetime, stretches: tuple[_Stretch, ...]) -> datetime:
    """Return the first instant at which the clocks show `wall` or later."""
    for stretch in stretches:
        if wall < stretch.end + stretch.offset:
            return max(stretch.begin, wall - stretch.offset)
    raise AssertionError("the stretches end after every opening that is asked for")


def _stretches(zone: ZoneInfo, instant: datetime) -> tuple[_Stretch, ...]:
    """List the stretches from some days before the instant to some days after, ends included."""
    begin = (instant - _BEFORE).replace(minute=0, second=0, microsecond=0)
    return _stretches_between(zone, begin, begin + _BEFORE + _AFTER)


@lru_cache(maxsize=4096)
def _stretches_between(zone: ZoneInfo, begin: datetime, finish: datetime) -> tuple[_Stretch, ...]:
    changes = [begin]
    at, offset = begin, _offset(begin, zone)
    while at < finish:
        following = min(at + _SAMPLE, finish)
        if _offset(following, zone) != offset:
            changes.append(_change(at, following, zone))
            offset = _offset(following, zone)
        at = following
    ends = [*changes[1:], finish]
    return tuple(_Stretch(b, e, _offset(b, zone)) for b, e in zip(changes, ends, strict=True))


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the second, after low and up to high, at which the offset becomes that of high."""
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=int((high - low).total_seconds()) // 2)
        if _offset(middle, zone) == _offset(high, zone):
            high = middle
        else:
            low = middle
    return high


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.replace(tzinfo=UTC).astimezone(zone).utcoffset()
    assert offset is not None
    return offset


def _naive(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("an instant needs a time zone")
    return at.astimezone(UTC).replace(tzinfo=None)
