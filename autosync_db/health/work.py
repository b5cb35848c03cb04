"""What the jobs did, in figures: for monitoring, which asks every minute and keeps what it was answered.

Each part is a bounded query of sql/monitoring. health.verify asks all of them as one statement, in the transaction in
which the checks looked; if it fails, each part by itself, and one that cannot be read is named in `unread`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

from autosync_db import cron, resources
from autosync_db.config import HOUSEKEEPING_JOB

PARTS = ("jobs", "calls", "runs", "queue", "schedules", "secrets", "alerts")
# so many ticks show the longest time between two of them: a week of them, for what ticks on some weekdays
_TICKS = 8


@dataclass(frozen=True, slots=True)
class JobWork:
    """What one job did; times are seconds since 1970, durations seconds, None is not known or there is none."""

    name: str
    makes_calls: bool
    # whether ticks are to come: it is scheduled, active, and neither paused nor kept from it
    is_expected: bool | None = None
    # whether a tick makes a call only while something is due
    is_when_due: bool | None = None
    paused_at: float | None = None
    interval: float | None = None
    timeout: float | None = None
    last_tick_at: float | None = None
    last_success_at: float | None = None
    failures_in_a_row: int | None = None
    last_duration: float | None = None
    longest_duration: float | None = None
    # of the last hour: calls by cause, pg_cron's runs by status
    calls: Mapping[str, int] | None = None
    runs: Mapping[str, int] | None = None


@dataclass(frozen=True, slots=True)
class Work:
    """What the chosen jobs did, and what waits."""

    jobs: tuple[JobWork, ...] = ()
    queued: int | None = None
    oldest_queued_age: float | None = None
    schedules_due: int | None = None
    housekeeping_at: float | None = None
    secrets_changed_at: Mapping[str, float] = field(default_factory=dict)
    alerts_undelivered: int | None = None
    unread: frozenset[str] = frozenset()


def query(part: str) -> str:
    """Return the query of a part, whose rows say which part they are of, of what they speak, and the facts."""
    text = resources.read(f"sql/monitoring/{part}.sql")
    return f"select '{part}' as part, p.subject, p.facts from (\n{text}\n) as p"  # noqa: S608 - our own files


def of_answers(rows: Iterable[tuple[Any, ...]], names: Iterable[str], unread: Iterable[str] = ()) -> Work:
    """Return the work of the jobs of these names, from the rows of all queries; `unread` are the parts without any."""
    found: dict[str, dict[str | None, dict[str, Any]]] = {part: {} for part in PARTS}
    for part, subject, facts in rows:
        found[part][subject] = facts
    missing = frozenset(unread)
    # of a table whose rows are hidden there is no row
    missing |= {part for part in ("queue", "schedules", "alerts") if None not in found[part]}
    house = found["runs"].get(HOUSEKEEPING_JOB, {})
    return Work(
        jobs=tuple(
            _job(name, found["jobs"][name], found["calls"].get(name, {}), found["runs"].get(name), missing)
            for name in names
            if name in found["jobs"]
        ),
        queued=found["queue"].get(None, {}).get("requests"),
        oldest_queued_age=found["queue"].get(None, {}).get("oldest_age"),
        schedules_due=found["schedules"].get(None, {}).get("due"),
        housekeeping_at=house.get("success_at"),
        secrets_changed_at={
            str(name): facts["changed_at"]
            for name, facts in found["secrets"].items()
            if facts["changed_at"] is not None
        },
        alerts_undelivered=found["alerts"].get(None, {}).get("undelivered"),
        unread=missing,
    )


def _job(
    name: str, job: Mapping[str, Any], calls: Mapping[str, Any], runs: Mapping[str, Any] | None, unread: frozenset[str]
) -> JobWork:
    """Return one job's work: of one that makes calls by the ledger, of any other by pg_cron's history."""
    ran = runs or {}
    worked = calls if job["makes_calls"] else ran
    is_expected = None
    if "runs" not in unread:
        is_expected = bool(job["enabled"] and job["paused_at"] is None and ran.get("active"))
    return JobWork(
        name,
        job["makes_calls"],
        is_expected=is_expected,
        is_when_due=job["when_due"],
        paused_at=job["paused_at"],
        interval=_interval(ran.get("schedule")),
        timeout=job["timeout"],
        last_tick_at=calls.get("tick_at"),
        last_success_at=worked.get("success_at"),
        failures_in_a_row=worked.get("failures"),
        last_duration=worked.get("duration"),
        longest_duration=calls.get("longest"),
        calls=calls.get("calls"),
        runs=ran.get("runs"),
    )


def _interval(schedule: str | None) -> float | None:
    """Return the longest of the next times between two ticks."""
    if schedule is None:
        return None
    ticks = cron.ticks_after(schedule, datetime.now(UTC), count=_TICKS)
    return max(((later - tick).total_seconds() for tick, later in pairwise(ticks)), default=None)
