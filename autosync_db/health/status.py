"""One screen about a project, read in a few queries; a judgement is what verify is for."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from autosync_db import cron
from autosync_db.config import Settings
from autosync_db.connection import Connection, rows
from autosync_db.credentials import lease
from autosync_db.credentials.lease import Unfinished
from autosync_db.health.checks import job_ticks_on_time
from autosync_db.health.findings import Status as Severity
from autosync_db.jobs import calls, plan, registry
from autosync_db.jobs.binding import Inherited
from autosync_db.jobs.calls import UNPROVEN, Cause, Invocation
from autosync_db.jobs.one_call import Call
from autosync_db.jobs.plan import Difference
from autosync_db.jobs.registry import Job
from autosync_db.plain import counted
from autosync_db.schedules import table
from autosync_db.schema import revisions
from autosync_db.supabase import key

_SCHEDULES = f"""
    select count(*) filter (where s.enabled), count(*) filter (where s.enabled and s.next_run_at <= now()),
        count(*) filter (where {table.OVERDUE}),
        min(s.next_run_at) filter (where s.enabled and s.next_run_at > now() and isfinite(s.next_run_at))
    from public.auto_sync_schedules as s
"""  # noqa: S608 - a constant


# of each job its newest tick, and its newest run among the last that pg_cron did at all; a run that a restart or a
# pause ended did not fail
_TICKS = """
    select j.name, t.ticked_at, t.decision
    from autosync.job as j
    cross join lateral (
        -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
        select k.ticked_at, k.decision
        from autosync.tick as k
        where k.job_id between j.id and j.id
        order by k.job_id desc, k.id desc
        limit 1
    ) as t
    where j.name = any(%s)
"""
_RUNS = """
    select distinct on (c.jobname) c.jobname, d.start_time, d.status, d.return_message
    from cron.job_run_details as d
    join cron.job as c on c.jobid = d.jobid and c.jobname = any(%s)
    where d.runid > (select max(e.runid) from cron.job_run_details as e) - 10000
        and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
    order by c.jobname, d.runid desc
"""
_TICKS_ON_TIME = """
    select checked.name, f.fact
    from unnest({names}::text[]) as checked (name)
    cross join lateral ({query}) as f
"""
# how pg_cron reads schedules, and whether it is there at all
_PG_CRON = """
    select (select s.setting from pg_settings as s where s.name = 'cron.timezone'),
        exists (select from pg_settings as s where s.name = 'cron.match_dom_and_dow' and s.setting = 'on'),
        to_regclass('cron.job') is not null
"""


@dataclass(frozen=True, slots=True)
class Due:
    """How many schedules wait for a run, and when the next one is."""

    enabled: int
    due: int
    overdue: int
    next_at: datetime | None


# how a job without any run does, by whether one is missing
_NO_RUN = {
    True: (Severity.CRITICAL, "no run, and one is late"),
    False: (Severity.OK, "no run, none is late"),
    None: (Severity.UNKNOWN, "no run recorded"),
}
# differences that are named one by one
_NAMED = 3


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job with what came of it last: a tick and a call, or a run of its statement.

    `zone` is cron.timezone, None where it is not known; `both_days` is cron.match_dom_and_dow. Without pg_net
    no call is seen.
    """

    job: Job
    last_tick_at: datetime | None
    last_decision: str | None
    last_call: Invocation | None
    last_run_at: datetime | None
    last_run_status: str | None
    last_run_message: str | None
    zone: str | None = None
    both_days: bool = False
    sees_calls: bool = True
    # of a job without any run: whether one is missing; None where that is not known
    is_late: bool | None = None

    @property
    def condition(self) -> tuple[Severity, str]:
        """Return how well the job does, and that in a few words: its state, or what came of its newest call or run."""
        state = self.job.state
        if state in {"not scheduled", "inactive"}:
            return Severity.CRITICAL, state
        if state != "active":
            return Severity.WARNING, state
        return self.newest

    @property
    def is_off_on_purpose(self) -> bool:
        """Whether the file or somebody switched the job off, which verify takes for no fault either."""
        job = self.job
        if job.kind == "watch" or (job.inherited_from and job.makes_calls):
            return False
        return job.paused_by != registry.UNFINISHED if job.paused_at else not job.enabled

    @property
    def newest(self) -> tuple[Severity, str]:
        """Return how well the newest call or run went."""
        if self.tick_failed:
            return Severity.CRITICAL, "tick failed"
        if self.job.makes_calls:
            if self.last_call is None:
                why = "no call recorded" if self.sees_calls else "calls cannot be seen without pg_net"
                return Severity.UNKNOWN, why
            return condition_of(self.last_call)
        if self.last_run_status is None:
            return _NO_RUN[self.is_late]
        if self.last_run_status == "failed":
            return Severity.CRITICAL, "failed"
        return Severity.OK, "ok" if self.last_run_status == "succeeded" else self.last_run_status

    @property
    def newest_at(self) -> datetime | None:
        """Return when the newest call was queued, or the newest run began."""
        if self.job.makes_calls and not self.tick_failed:
            return self.last_call.queued_at if self.last_call else None
        return self.last_run_at

    @property
    def reason(self) -> str | None:
        """Return what a newest call or run that went wrong said, None of one that went well."""
        if self.newest[0] is not Severity.CRITICAL:
            return None
        if self.last_call and not self.tick_failed:
            return self.last_call.account
        # what follows is where in our functions that was
        return " ".join((self.last_run_message or "").strip().partition("\n")[0].split()) or None

    @property
    def tick_failed(self) -> bool:
        """Whether the newest tick of a job that makes calls failed in pg_cron's own record, before it made one."""
        if not self.job.makes_calls or self.last_run_status != "failed" or self.last_run_at is None:
            return False
        return self.last_call is None or self.last_call.queued_at < self.last_run_at

    @property
    def ticks_by(self) -> str | None:
        """Return the schedule by which pg_cron ticks, None while it does not."""
        is_off = self.job.inherited_from and self.job.makes_calls
        return self.job.cron_schedule or None if self.job.active and not is_off else None

    def next_tick(self, now: datetime) -> datetime | None:
        """Return when pg_cron ticks next, with its settings; None where it does not, or that is not foreseen.

        A schedule in seconds is counted from the last tick, and what has not come by then is foreseen for now.
        """
        if self.ticks_by is None:
            return None
        if period := cron.every(self.ticks_by):
            last = self.last_tick_at if self.job.makes_calls else self.last_run_at
            return max(now, last + period) if last else None
        return next(iter(cron.ticks_after(self.ticks_by, now, self.zone, both_days=self.both_days, count=1)), None)

    def coming(self, now: datetime) -> datetime | timedelta | str:
        """Return when the next tick comes: its moment, how long it takes at most, or why none does."""
        if self.job.inherited_from and self.job.makes_calls:
            return "none while it is off"
        if self.ticks_by is None:
            return "none"
        return cron.every(self.ticks_by) or self.next_tick(now) or "not foreseen"


def condition_of(call: Invocation | Call) -> tuple[Severity, str]:
    """Return how well a call went, and that in a few words."""
    if call.cause is Cause.OK:
        return Severity.OK, "ok, unproven" if call.proof in UNPROVEN else "ok"
    if call.cause is Cause.PENDING:
        return Severity.UNKNOWN, "pending"
    return Severity.CRITICAL, f"failed: {call.cause.value}"


@dataclass(frozen=True, slots=True)
class Status:
    """What a project looks like at one moment; times are UTC. `job` and the `last_` are those of the main job."""

    revision: str | None
    head: str
    pg_cron: str | None
    pg_net: str | None
    pg_net_is_stand_in: bool
    job: Job | None  # none where none of the settings runs on the target
    last_tick_at: datetime | None
    last_decision: str | None
    last_call: Invocation | None
    jobs: tuple[JobStatus, ...]
    schedules_enabled: int
    schedules_due: int
    schedules_overdue: int
    next_schedule_at: datetime | None
    unproven: tuple[Unfinished, ...]
    # what the settings say and the database does not have
    unapplied: tuple[Difference, ...]
    inherited: Inherited | None = None  # what the database is a copy of

    @property
    def off(self) -> list[str]:
        """Return the jobs that are off on purpose, each with who switched it off."""
        return [f"{one.job.name} {one.job.state}" for one in self.jobs if one.is_off_on_purpose]

    @property
    def troubles(self) -> list[tuple[Severity, str]]:
        """Return what is not as it should be, or not known yet, in a few words each; the causes are for verify."""
        found: list[tuple[Severity, str]] = [
            (severity, f"{one.job.name} {words}")
            for one in self.jobs
            for severity, words in [one.condition]
            if severity in {Severity.CRITICAL, Severity.WARNING} and not one.is_off_on_purpose
        ]
        found += [
            (Severity.CRITICAL, f"{name} is not installed")
            for name, version in (("pg_cron", self.pg_cron), ("pg_net", self.pg_net))
            if version is None
        ]
        if self.schedules_overdue:
            found.append((Severity.CRITICAL, f"{counted(self.schedules_overdue, 'schedule')} overdue"))
        if self.revision != self.head:
            found.append((Severity.WARNING, "a migration is pending"))
        found += [(Severity.WARNING, f"{one.name} is not proven") for one in self.unproven]
        if self.unapplied:
            found.append((Severity.WARNING, "the settings are not applied"))
        unseen = [one for one in self.jobs if one.condition[0] is Severity.UNKNOWN and one.newest_at is None]
        if unseen:
            others = f" and {counted(len(unseen) - 1, 'other')}" if len(unseen) > 1 else ""
            found.append((Severity.UNKNOWN, f"{unseen[0].job.name}{others}: {unseen[0].condition[1]}"))
        order = (Severity.CRITICAL, Severity.WARNING, Severity.UNKNOWN)
        return sorted(found, key=lambda trouble: order.index(trouble[0]))


def of_jobs(connection: Connection, names: Iterable[str] | None = None) -> list[JobStatus]:
    """Return the jobs of these names, or all that are registered, with what came of each last."""
    chosen = None if names is None else set(names)
    jobs = [job for job in registry.all_jobs(connection) if chosen is None or job.name in chosen]
    known = [job.name for job in jobs]
    ticks = {name: rest for name, *rest in rows(connection, _TICKS, [known])}
    [(zone, both_days, has_pg_cron)] = rows(connection, _PG_CRON)
    runs = {name: rest for name, *rest in rows(connection, _RUNS, [known])} if has_pg_cron else {}
    newest, sees_calls = _newest_calls(connection, [job.name for job in jobs if job.makes_calls])
    late = _late(connection, [job for job in jobs if not job.makes_calls and job.active and job.name not in runs])
    found = []
    for job in jobs:
        ticked_at, decision = ticks.get(job.name, (None, None))
        call = newest.get(job.name)
        ran_at, run_status, message = runs.get(job.name, (None, None, None))
        # the database masks neither the statement nor what a run said
        shown = replace(job, sql=key.redact(job.sql)) if job.sql else job
        said = key.redact(message) if message else message
        ran = (ran_at, run_status, said)
        found.append(JobStatus(shown, ticked_at, decision, call, *ran, zone, both_days, sees_calls, late.get(job.name)))
    return found


def _late(connection: Connection, jobs: Sequence[Job]) -> dict[str, bool]:
    """Return whether a run of each of these jobs is missing, by the judgement of `verify`, where it is known."""
    if not jobs:
        return {}
    names = sql.Literal([job.name for job in jobs]).as_string()
    try:
        with connection.transaction():
            answers = rows(connection, _TICKS_ON_TIME.format(names=names, query=job_ticks_on_time.query()).encode())
    except psycopg.DatabaseError:
        if connection.broken:
            raise
        return {}
    found = {
        name: any(row.status == Severity.CRITICAL for row in job_ticks_on_time.judge(name, facts))
        for name, facts in answers
        if not facts["history"]["is_off"] and facts["sees_settings"]
    }
    watched = {job.name for job in jobs if job.kind == "watch"}
    # of one that is only watched verify does not say that it is late
    return {name: is_late for name, is_late in found.items() if not (is_late and name in watched)}


def _newest_calls(connection: Connection, names: Sequence[str]) -> tuple[dict[str, Invocation], bool]:
    """Return the newest call of each job, and whether they can be seen: what has no outcome yet is asked of pg_net."""
    try:
        return {call.job: call for call in calls.of_each(connection, names)}, True
    except psycopg.errors.UndefinedTable:
        if connection.info.transaction_status is not TransactionStatus.IDLE:
            raise
        return {}, False


def collect(connection: Connection, settings: Settings, names: Sequence[str] = ()) -> Status:
    """Return the status of a project: of the named jobs, or of all that are spoken of.

    Raises MigrationError when the database was never set up.
    """
    jobs = of_jobs(connection, registry.spoken_of(connection, settings, names))
    main = registry.registered(connection, settings).main.name
    first = next((one for one in jobs if one.job.name == main), jobs[0] if jobs else None)
    extensions = {
        name: (version, stand_in)
        for name, version, stand_in in rows(
            connection,
            """
            select extname, extversion, coalesce(obj_description(oid, 'pg_extension') like 'stand-in%%', false)
            from pg_extension
            where extname = any(%s)
            """,
            [["pg_cron", "pg_net"]],
        )
    }
    schedules = due(connection)
    pg_net, stand_in = extensions.get("pg_net", (None, False))
    return Status(
        revision=revisions.current(connection),
        head=revisions.head(),
        pg_cron=extensions.get("pg_cron", (None, False))[0],
        pg_net=pg_net,
        pg_net_is_stand_in=stand_in,
        job=first.job if first else None,
        last_tick_at=first.last_tick_at if first else None,
        last_decision=first.last_decision if first else None,
        last_call=first.last_call if first else None,
        jobs=tuple(jobs),
        schedules_enabled=schedules.enabled,
        schedules_due=schedules.due,
        schedules_overdue=schedules.overdue,
        next_schedule_at=schedules.next_at,
        unproven=lease.unfinished(connection),
        unapplied=tuple(plan.unapplied(connection, settings)),
    )


def due(connection: Connection) -> Due:
    """Return how many schedules are due and overdue."""
    [found] = rows(connection, _SCHEDULES.encode())
    return Due(*found)


def not_applied(differences: Sequence[Difference]) -> str:
    """Return what of the settings is not in the database, and what applies it."""
    named = "; ".join(map(str, differences[:_NAMED])) + ("; and more" if len(differences) > _NAMED else "")
    return f"not applied yet: {named}; see: autosync-db plan; apply them with: autosync-db setup"
