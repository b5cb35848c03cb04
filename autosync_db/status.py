"""One screen about a project, read in a few queries; a judgement is what verify is for."""

from dataclasses import dataclass
from datetime import datetime

from autosync_db import cron, duration
from autosync_db.connection import Connection, rows
from autosync_db.credentials import lease
from autosync_db.credentials.lease import Unfinished
from autosync_db.jobs import calls, registry
from autosync_db.jobs.calls import Invocation
from autosync_db.jobs.registry import Job
from autosync_db.schedules import table
from autosync_db.schema import revisions

_SCHEDULES = f"""
    select count(*) filter (where s.enabled), count(*) filter (where s.enabled and s.next_run_at <= now()),
        count(*) filter (where {table.OVERDUE}),
        min(s.next_run_at) filter (where s.enabled and s.next_run_at > now())
    from public.auto_sync_schedules as s
"""  # noqa: S608 - a constant


@dataclass(frozen=True, slots=True)
class Status:
    """What a project looks like at one moment; times are UTC."""

    revision: str | None
    head: str
    pg_cron: str | None
    pg_net: str | None
    pg_net_is_stand_in: bool
    job: Job
    last_tick_at: datetime | None
    last_decision: str | None
    last_call: Invocation | None
    schedules_enabled: int
    schedules_due: int
    schedules_overdue: int
    next_schedule_at: datetime | None
    unproven: tuple[Unfinished, ...]


def collect(connection: Connection, job_name: str) -> Status:
    """Return the status of a project. Raises MigrationError when the database was never set up."""
    found = registry.find(connection, job_name)
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
    tick = connection.execute(
        "select t.ticked_at, t.decision from autosync.tick as t join autosync.job as j on j.id = t.job_id"
        " where j.name = %s order by t.id desc limit 1",
        [job_name],
    ).fetchone() or (None, None)
    [(enabled, due, overdue, next_at)] = rows(connection, _SCHEDULES.encode())
    pg_net, stand_in = extensions.get("pg_net", (None, False))
    return Status(
        revision=revisions.current(connection),
        head=revisions.head(),
        pg_cron=extensions.get("pg_cron", (None, False))[0],
        pg_net=pg_net,
        pg_net_is_stand_in=stand_in,
        job=found,
        last_tick_at=tick[0],
        last_decision=tick[1],
        last_call=next(iter(calls.recent(connection, job_name, 1)), None),
        schedules_enabled=enabled,
        schedules_due=due,
        schedules_overdue=overdue,
        next_schedule_at=next_at,
        unproven=lease.unfinished(connection),
    )


def describe(found: Status, now: datetime) -> list[tuple[str, str]]:
    """Return the status as label and text, with times relative to `now`."""

    def ago(moment: datetime | None) -> str:
        return f"{moment:%Y-%m-%d %H:%M:%S} UTC ({duration.describe(now - moment)} ago)" if moment else "never"

    scheduled = found.job
    state = "not scheduled" if scheduled.cron_id is None else "active" if scheduled.active else "inactive"
    if scheduled.paused_at:
        state = f"paused by {scheduled.paused_by}"
    answer = found.last_call
    ticks_by = (scheduled.cron_schedule if scheduled.active else None) or ""
    tick, period = cron.next_tick(ticks_by, now), cron.every(ticks_by)
    coming = f"{tick:%Y-%m-%d %H:%M} UTC" if tick else f"in at most {duration.describe(period)}" if period else ""
    return [
        (
            "revision",
            f"{found.revision} (head)" if found.revision == found.head else f"{found.revision}, head is {found.head}",
        ),
        ("pg_cron", found.pg_cron or "not installed"),
        (
            "pg_net",
            (found.pg_net or "not installed") + (" (stand-in of the local stack)" if found.pg_net_is_stand_in else ""),
        ),
        ("job", f"{scheduled.name}, {scheduled.schedule}, {state}"),
        ("last tick", ago(found.last_tick_at) + (f", {found.last_decision}" if found.last_decision else "")),
        (
            "last call",
            f"{answer.summary} ({answer.cause.value}), {ago(answer.queued_at)}" if answer else "never",
        ),
        ("next tick", coming or "not foreseen"),
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
