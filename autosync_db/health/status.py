"""One screen about a project, read in a few queries; a judgement is what verify is for."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from autosync_db import cron
from autosync_db.config import Settings, duration
from autosync_db.connection import Connection, exists, rows
from autosync_db.credentials import lease
from autosync_db.credentials.lease import Unfinished
from autosync_db.jobs import calls, plan, registry
from autosync_db.jobs.binding import Inherited
from autosync_db.jobs.calls import Invocation
from autosync_db.jobs.plan import Difference
from autosync_db.jobs.registry import Job
from autosync_db.schedules import table
from autosync_db.schema import revisions

_SCHEDULES = f"""
    select count(*) filter (where s.enabled), count(*) filter (where s.enabled and s.next_run_at <= now()),
        count(*) filter (where {table.OVERDUE}),
        min(s.next_run_at) filter (where s.enabled and s.next_run_at > now())
    from public.auto_sync_schedules as s
"""  # noqa: S608 - a constant


# of each job its newest tick, and its newest run among the last that pg_cron did at all
_TICKS = """
    select j.name, t.ticked_at, t.decision
    from autosync.job as j
    cross join lateral (
        select k.ticked_at, k.decision from autosync.tick as k where k.job_id = j.id order by k.id desc limit 1
    ) as t
    where j.name = any(%s)
"""
_RUNS = """
    select distinct on (c.jobname) c.jobname, d.start_time, d.status, d.return_message
    from cron.job_run_details as d
    join cron.job as c on c.jobid = d.jobid and c.jobname = any(%s)
    where d.runid > (select max(e.runid) from cron.job_run_details as e) - 10000
    order by c.jobname, d.runid desc
"""


@dataclass(frozen=True, slots=True)
class Due:
    """How many schedules wait for a run, and when the next one is."""

    enabled: int
    due: int
    overdue: int
    next_at: datetime | None


# differences that are named one by one
_NAMED = 3


@dataclass(frozen=True, slots=True)
class JobStatus:
    """One job with what came of it last: a tick and a call, or a run of its statement."""

    job: Job
    last_tick_at: datetime | None
    last_decision: str | None
    last_call: Invocation | None
    last_run_at: datetime | None
    last_run_status: str | None
    last_run_message: str | None

    @property
    def newest(self) -> str:
        """Return how the newest call or run ended, in a few words."""
        if self.job.makes_calls:
            call = self.last_call
            return f"{call.summary} ({call.cause.value}), {call.queued_at:%Y-%m-%d %H:%M}" if call else "no call yet"
        if self.last_run_status is None:
            return "no run yet"
        when = f", {self.last_run_at:%Y-%m-%d %H:%M}" if self.last_run_at else ""
        return f"{self.last_run_status}{when}"


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


def of_jobs(connection: Connection, names: Iterable[str] | None = None) -> list[JobStatus]:
    """Return the jobs of these names, or all that are registered, with what came of each last."""
    chosen = None if names is None else set(names)
    jobs = [job for job in registry.all_jobs(connection) if chosen is None or job.name in chosen]
    known = [job.name for job in jobs]
    ticks = {name: rest for name, *rest in rows(connection, _TICKS, [known])}
    runs = {name: rest for name, *rest in rows(connection, _RUNS, [known])} if exists(connection, "cron.job") else {}
    newest = {call.job: call for call in calls.of_each(connection, [job.name for job in jobs if job.makes_calls])}
    found = []
    for job in jobs:
        ticked_at, decision = ticks.get(job.name, (None, None))
        call = newest.get(job.name)
        ran_at, run_status, message = runs.get(job.name, (None, None, None))
        found.append(JobStatus(job, ticked_at, decision, call, ran_at, run_status, message))
    return found


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


def next_tick(one: JobStatus, now: datetime, zone: str | None = None, *, both_days: bool = False) -> datetime | None:
    """Return when pg_cron ticks next, with its settings; None where it does not, or that is not foreseen.

    A schedule in seconds is counted from the last tick, and what has not come by then is foreseen for now.
    """
    schedule = one.job.cron_schedule
    if not one.job.active or not schedule or (one.job.inherited_from and one.job.makes_calls):
        return None
    if period := cron.every(schedule):
        last = one.last_tick_at if one.job.makes_calls else one.last_run_at
        return max(now, last + period) if last else None
    return next(iter(cron.ticks_after(schedule, now, zone, both_days=both_days, count=1)), None)


def _coming(job: Job, now: datetime) -> str:
    ticks_by = (job.cron_schedule if job.active else None) or ""
    if job.inherited_from and job.makes_calls:
        return "none while it is off"
    tick, period = cron.next_tick(ticks_by, now), cron.every(ticks_by)
    if period:
        return f"in at most {duration.describe(period)}"
    return f"{tick:%Y-%m-%d %H:%M} UTC" if tick else "not foreseen"


def _of_one_job(one: JobStatus, now: datetime, ago: Callable[[datetime | None], str]) -> list[tuple[str, str]]:
    answer, job = one.last_call, one.job
    what = [("job", f"{job.name}, {job.schedule or job.cron_schedule}, {job.state}")]
    if job.makes_calls:
        what += [
            ("last tick", ago(one.last_tick_at) + (f", {one.last_decision}" if one.last_decision else "")),
            ("last call", f"{answer.summary} ({answer.cause.value}), {ago(answer.queued_at)}" if answer else "never"),
        ]
    else:
        what.append(("last run", f"{one.last_run_status}, {ago(one.last_run_at)}" if one.last_run_status else "never"))
    return [*what, ("next tick", _coming(job, now))]


def _in_one_line(one: JobStatus, now: datetime) -> str:
    return f"{one.job.state}; newest: {one.newest}; next: {_coming(one.job, now)}"


def not_applied(differences: Sequence[Difference]) -> str:
    """Return what of the settings is not in the database, and what applies it."""
    named = "; ".join(map(str, differences[:_NAMED])) + ("; and more" if len(differences) > _NAMED else "")
    return f"not applied yet: {named}; see: autosync-db plan; apply them with: autosync-db setup"


def describe(found: Status, now: datetime) -> list[tuple[str, str]]:
    """Return the status as label and text, with times relative to `now`."""

    def ago(moment: datetime | None) -> str:
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({duration.describe(now - moment)} ago)" if moment else "never"

    if len(found.jobs) == 1:
        jobs = _of_one_job(found.jobs[0], now, ago)
    else:
        jobs = [(one.job.name, _in_one_line(one, now)) for one in found.jobs] or [
            ("jobs", "none of autosync.toml runs on this target")
        ]
    copy = found.inherited
    return [
        *([("copy", f"{copy.sentence}; for calls of its own: {copy.next}")] if copy else []),
        (
            "revision",
            f"{found.revision} (head)" if found.revision == found.head else f"{found.revision}, head is {found.head}",
        ),
        ("pg_cron", found.pg_cron or "not installed"),
        (
            "pg_net",
            (found.pg_net or "not installed") + (" (stand-in of the local stack)" if found.pg_net_is_stand_in else ""),
        ),
        *jobs,
        *((("settings", f"{not_applied(found.unapplied)}"),) if found.unapplied else ()),
        (
            "schedules",
            f"{found.schedules_enabled} enabled, {found.schedules_due} due, {found.schedules_overdue} overdue",
        ),
        ("next due", f"{found.next_schedule_at:%Y-%m-%d %H:%M:%S} UTC" if found.next_schedule_at else "none"),
        *(
            (
                "rotation",
                f"{one.name}, stored {ago(one.started_at)} by {one.started_by}, "
                + ("is being proven" if one.is_live else "was never proven: autosync-db rotate --resume"),
            )
            for one in found.unproven
        ),
    ]
