"""How many calls a month the jobs make, beside what a plan includes, and what would save some.

By the ledger where it has enough of them, else by the schedule alone; which of the two is always said. What a change
would have saved is found on the ticks that there were: each of them kept how many schedules were due.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import ceil
from typing import Any, Literal

from psycopg.rows import dict_row

from autosync_db import cron
from autosync_db.config import JobSettings, Settings
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.errors import unknown
from autosync_db.jobs import columns, registry
from autosync_db.jobs.found import hides_others

Basis = Literal["ledger", "schedule"]
# quotas, and that failed calls count as well: what this page said then
SOURCE = "https://supabase.com/docs/guides/platform/manage-your-usage/edge-function-invocations"
AS_OF = "2026-11-27"
_ABSENT = "not scheduled"
_HIDDEN = "this role does not see whether it is scheduled"
WINDOW = timedelta(days=30)
MONTH = timedelta(days=365) / 12
# a shorter ledger says little of a month
ENOUGH = timedelta(days=1)
_EDGE_FUNCTION = re.compile(r"https://[a-z]{20}\.(?:functions\.supabase\.co/|supabase\.co/functions/)")
_SLOWER = {10: "*/10 * * * *", 15: "*/15 * * * *", 30: "*/30 * * * *", 60: "0 * * * *"}
_LEDGER = """
select t.job_id, min(t.ticked_at) as since, count(*) as ticks
from autosync.tick as t
where t.ticked_at >= %(since)s
group by t.job_id
"""
# a schedule that a call claimed is a call of the function, unless it was given back unstarted
_CALLS = """
select i.job_id, count(*) as calls, count(*) filter (where i.attempt > 1) as retries,
    count(*) filter (where i.outcome not in ('ok', 'pending', 'accepted')) as failed,
    count(*) filter (where jsonb_typeof(i.counts -> 'claimed') = 'number') as counted,
    coalesce(sum(least(greatest(
        case when jsonb_typeof(i.counts -> 'claimed') = 'number' then cast(i.counts ->> 'claimed' as numeric) end
        - case when jsonb_typeof(i.counts -> 'unstarted') = 'number'
            then cast(i.counts ->> 'unstarted' as numeric) else 0 end, 0), 1000000)), 0) as schedules
from autosync.invocation as i
where i.queued_at >= %(since)s
group by i.job_id
"""
_IDLE = """
select count(*)
from autosync.tick as t
join autosync.invocation as i on i.tick_id = t.id
where t.job_id = %(job)s and t.ticked_at >= %(since)s and t.due = 0 and t.caller not like 'autosync-db%%'
"""
# what is due at several ticks of now is due at one of then
_FEWER = """
select coalesce(sum(case when s.due = 0 and %(when_due)s then 0
    else greatest(1, least(%(most)s, ceil(s.due / %(batch)s::numeric))) end), 0)
from (
    select sum(t.due) as due
    from autosync.tick as t
    where t.job_id = %(job)s and t.ticked_at >= %(since)s and t.decision in ('posted', 'idle')
    group by date_bin(%(every)s, t.ticked_at, timestamptz '2000-01-01 00:00+00')
) as s
"""
_FREQUENCIES = """
select s.frequency_minutes, count(*) from public.auto_sync_schedules as s where s.enabled group by 1
"""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a plan includes a month for all projects of an organization, and what a package of more costs."""

    name: str
    included: int
    package: int | None = None
    package_usd: float | None = None


PLANS = {"free": Plan("free", 500_000), "pro": Plan("pro", 2_000_000, 1_000_000, 2.0)}


@dataclass(frozen=True, slots=True)
class Range:
    """How many there are at least and at most."""

    least: int
    most: int


@dataclass(frozen=True, slots=True)
class Ledger:
    """What the ledger has of a job since a moment. `schedules` were claimed by the `counted` calls that say so."""

    since: datetime
    days: float
    ticks: int
    calls: int
    retries: int
    failed: int
    counted: int
    schedules: int


@dataclass(frozen=True, slots=True)
class Saving:
    """What a change would save a month; `waits` is how much longer a schedule may then wait."""

    change: str
    calls: int
    saves: int
    waits: timedelta


@dataclass(frozen=True, slots=True)
class JobCost:
    """What one job costs a month. `schedules` are the further calls that a draining job's function makes."""

    name: str
    does: str
    schedule: str | None
    state: str
    billed: bool
    ticks: int | None
    by_schedule: Range | None
    ledger: Ledger | None
    basis: Basis
    calls: int
    schedules: int | None
    savings: tuple[Saving, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Quota:
    """The billed calls of all jobs beside what a plan includes."""

    plan: Plan
    share: float
    over: int
    over_usd: float | None


@dataclass(frozen=True, slots=True)
class Cost:
    """All jobs together."""

    jobs: tuple[JobCost, ...]
    billed: int
    quotas: tuple[Quota, ...]
    has_ledger: bool
    source: str = SOURCE
    as_of: str = AS_OF
    notes: tuple[str, ...] = field(default=())


def collect(
    connection: Connection, settings: Settings, names: Collection[str] = (), plans: Collection[str] = tuple(PLANS)
) -> Cost:
    """Return what the jobs cost: those of these names, else all of the database and of the file. Reads only.

    Raises UsageError for a name that neither has.
    """
    has_ledger = exists(connection, "autosync.job", "autosync.tick", "autosync.invocation")
    look = _Look(connection, has_ledger=has_ledger)
    found = look.jobs(settings)
    for name in names:
        if name not in found:
            raise unknown("job", name, found, hint=f"there are {', '.join(found) or 'none'}")
    chosen = tuple(
        look.cost(job, id_, state) for name, (job, id_, state) in found.items() if not names or name in names
    )
    billed = sum(job.calls + (job.schedules or 0) for job in chosen if job.billed)
    notes = () if has_ledger else ("there is no ledger yet: everything is by the schedule alone",)
    return Cost(chosen, billed, tuple(_quota(PLANS[name], billed) for name in plans), has_ledger, notes=notes)


def _quota(plan: Plan, billed: int) -> Quota:
    over = max(0, billed - plan.included)
    usd = ceil(over / plan.package) * plan.package_usd if plan.package and plan.package_usd is not None else None
    return Quota(plan, billed / plan.included, over, usd)


class _Look:
    def __init__(self, connection: Connection, *, has_ledger: bool) -> None:
        self._connection = connection
        self._now: datetime = value(connection, "select now()")
        self._both_days = bool(
            value(
                connection,
                "select exists (select from pg_settings as s where s.name = 'cron.match_dom_and_dow'"
                " and s.setting = 'on')",
            )
        )
        self._since = self._now - WINDOW
        self._ticks: dict[int, Mapping[str, Any]] = {}
        self._calls: dict[int, Mapping[str, Any]] = {}
        if has_ledger:
            self._ticks, self._calls = self._by_job(_LEDGER), self._by_job(_CALLS)

    def _by_job(self, query: str) -> dict[int, Mapping[str, Any]]:
        with self._connection.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(query.encode(), {"since": self._since}).fetchall()
        return {row["job_id"]: row for row in found}

    def jobs(self, settings: Settings) -> dict[str, tuple[JobSettings, int | None, str]]:
        """Return every job with its number and its state: those of the database, then those that only the file has."""
        found: dict[str, tuple[JobSettings, int | None, str]] = {}
        if exists(self._connection, "autosync.job"):
            states = {}
            if exists(self._connection, "cron.job"):
                states = {job.name: job.state for job in registry.all_jobs(self._connection)}
                if hides_others(self._connection):
                    states = {name: _HIDDEN if state == _ABSENT else state for name, state in states.items()}
            with self._connection.cursor(row_factory=dict_row) as cursor:
                for row in cursor.execute("select j.* from autosync.job as j order by j.id").fetchall():
                    found[row["name"]] = (columns.settings_of(row), row["id"], states.get(row["name"], _ABSENT))
        if settings.names_jobs or not found:
            for name, job in settings.jobs.items():
                found.setdefault(name, (job, None, "not in the database yet"))
        return found

    def cost(self, job: JobSettings, id_: int | None, state: str) -> JobCost:
        """Return what one job costs."""
        ticks = self._ticks_a_month(job)
        ledger = self._ledger(id_)
        is_stopped = state.startswith(("paused", "disabled", "inactive", _ABSENT)) or not job.enabled
        by_schedule = None
        if job.calls and ticks is not None:
            by_schedule = _by_schedule(job, ticks)
        notes = []
        basis: Basis = "ledger" if ledger is not None and job.calls else "schedule"
        calls, schedules = 0, None
        if ledger is not None and job.calls:
            calls = _a_month(ledger.calls, ledger)
            schedules, said = _schedules(job, ledger)
            notes += said
        elif by_schedule is not None:
            calls = by_schedule.least
            schedules = self._by_frequency(job, ticks)
            if by_schedule.most > calls:
                notes.append(f"up to {by_schedule.most:,} calls: fan-out and repeated calls")
        if job.calls and ticks is None:
            notes.append("its ticks cannot be foreseen")
        if state == _HIDDEN and job.calls:
            notes.append(f"{state}: counted as if it were")
        if is_stopped and job.calls:
            notes.append(f"{state}: makes no calls now")
            calls, schedules, basis = 0, None, "schedule"
        return JobCost(
            name=job.name,
            does=job.function or job.url or ("a statement" if job.kind == "sql" else "only watched"),
            schedule=job.schedule,
            state=state,
            billed=job.kind == "function" or bool(_EDGE_FUNCTION.match(job.url or "")),
            ticks=ticks,
            by_schedule=by_schedule,
            ledger=ledger if job.calls else None,
            basis=basis,
            calls=calls,
            schedules=schedules,
            savings=tuple(self._savings(job, id_, ledger, ticks)) if ledger and id_ and not is_stopped else (),
            notes=tuple(notes),
        )

    def _ticks_a_month(self, job: JobSettings) -> int | None:
        if job.schedule is None:
            return None
        year = cron.count_ticks(job.schedule, self._now.astimezone(UTC).date(), 365, both_days=self._both_days)
        return None if year is None else round(year / 12)

    def _ledger(self, id_: int | None) -> Ledger | None:
        ticked = self._ticks.get(id_) if id_ is not None else None
        if ticked is None or id_ is None or self._now - ticked["since"] < ENOUGH:
            return None
        called = self._calls.get(id_, {})
        names = ("calls", "retries", "failed", "counted", "schedules")
        counts = {name: int(called.get(name, 0)) for name in names}
        days = (self._now - ticked["since"]) / timedelta(days=1)
        return Ledger(since=ticked["since"], days=round(days, 2), ticks=int(ticked["ticks"]), **counts)

    def _by_frequency(self, job: JobSettings, ticks: int | None) -> int | None:
        """Return how many runs the enabled schedules have a month, at most: no more than there are ticks."""
        if not job.drains or ticks is None or not exists(self._connection, "public.auto_sync_schedules"):
            return None
        minutes = MONTH / timedelta(minutes=1)
        return int(
            sum(count * min(ticks, minutes / max(1, every)) for every, count in rows(self._connection, _FREQUENCIES))
        )

    def _savings(self, job: JobSettings, id_: int, ledger: Ledger, ticks: int | None) -> list[Saving]:
        if not job.drains or not ledger.calls:
            return []
        asked: dict[str, Any] = {"job": id_, "since": ledger.since, "most": job.max_requests, "batch": job.batch_size}
        now, found = _a_month(ledger.calls, ledger), []
        if job.invoke == "always":
            saved = _a_month(int(value(self._connection, _IDLE.encode(), asked)), ledger)
            found.append(Saving('invoke = "when_due"', now - saved, saved, timedelta()))
        every = MONTH / ticks if ticks else MONTH
        for minutes, schedule in _SLOWER.items():
            period = timedelta(minutes=minutes)
            if period <= every * 1.2 or not _is_even(job.schedule):
                continue
            asked |= {"every": period, "when_due": job.invoke == "when_due"}
            then = _a_month(int(value(self._connection, _FEWER.encode(), asked)), ledger)
            found.append(Saving(f'schedule = "{schedule}"', min(now, then), max(0, now - then), period - every))
        return [one for one in found if one.saves > 0]


def _is_even(schedule: str | None) -> bool:
    """Return whether a schedule ticks at the same pace all day and every day."""
    text = cron.plain(schedule or "")
    return cron.every(text) is not None or text.split()[1:] == ["*"] * 4


def _a_month(count: int, ledger: Ledger) -> int:
    return round(count * (MONTH / timedelta(days=1)) / ledger.days)


def _by_schedule(job: JobSettings, ticks: int) -> Range:
    requests = job.max_requests if job.drains else 1
    attempts = job.retry.attempts if job.retry else 1
    least = 0 if job.drains and job.invoke == "when_due" else ticks
    return Range(least, ticks * requests * attempts)


def _schedules(job: JobSettings, ledger: Ledger) -> tuple[int | None, list[str]]:
    """Return how many further calls a month the function makes, one for each schedule that it claims, and a remark."""
    if not job.drains or not ledger.calls:
        return None, []
    if not ledger.counted:
        return None, ["the function's answers hold no counts: calls that it makes itself are not known"]
    remark = []
    if ledger.counted < ledger.calls:
        remark = [f"{ledger.counted:,} of {ledger.calls:,} answers say how many schedules they claimed"]
    return _a_month(ledger.schedules, ledger), remark
