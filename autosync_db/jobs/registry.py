"""The scheduled job: what autosync.job says it must be, and what cron.job is."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from autosync_db import cron
from autosync_db.config import GUIDE_JOB, Settings
from autosync_db.connection import Connection, exists, value
from autosync_db.errors import MigrationError, UsageError


@dataclass(frozen=True, slots=True)
class Job:
    """One scheduled job, as registered and as pg_cron has it (None where it has no such job)."""

    name: str
    function: str
    schedule: str
    timeout: timedelta
    invoke: str
    paused_at: datetime | None
    paused_by: str | None
    cron_id: int | None
    cron_schedule: str | None
    active: bool | None


def find(connection: Connection, name: str) -> Job:
    """Return the job called `name`. Raises MigrationError when the database has no registry or no such job."""
    if not exists(connection, "autosync.job"):
        raise MigrationError("this database has no autosync schema yet", hint="run: autosync-db setup")
    row = connection.execute(
        """
        select j.name, j.function, j.schedule, make_interval(secs => j.timeout_milliseconds / 1000.0), j.invoke,
            j.paused_at, j.paused_by, c.jobid, c.schedule, c.active
        from autosync.job as j
        left join cron.job as c on c.jobname = j.name
        where j.name = %s
        order by c.jobid
        limit 1
        """,
        [name],
    ).fetchone()
    if row is None:
        raise UsageError(f"there is no job {name!r}", hint="see [job] name in autosync.toml, or run: autosync-db setup")
    return Job(*row)


def configure(connection: Connection, settings: Settings) -> str:
    """Bring autosync.job and cron.job to the settings; return `created`, `changed` or `unchanged`.

    Raises UsageError when pg_cron does not understand the schedule, MigrationError when another role owns the job;
    nothing is changed then.
    """
    with connection.transaction():
        for statement in registration(settings):
            cursor = connection.execute(statement)
        registered = cursor.fetchone()
        scheduled = _sync(connection, settings.main.name, settings.main.schedule)
    return "changed" if registered and scheduled == "unchanged" else scheduled


def registration(settings: Settings) -> list[sql.Composed]:
    """Return the statements that make autosync.job say what the settings say; the last one returns a row if it changed.

    The job that the migration made is renamed, if it never ticked: it would go on ticking beside this one. A job that
    was there before us keeps what it had of its own, until a setting says otherwise.
    """
    wanted, retention = settings.main, settings.retention
    values: dict[str, object] = {
        "name": wanted.name,
        "function": wanted.function,
        "drains": "auto_sync_schedules",
        "schedule": wanted.schedule,
        "timeout_milliseconds": int(wanted.timeout.total_seconds() * 1000),
        "invoke": wanted.invoke,
        "batch_size": wanted.batch_size,
        "max_requests": wanted.max_requests,
        "keep_invocations": retention.invocations,
        "keep_run_details": retention.job_run_details,
    }
    changeable = [name for name in values if name != "name"]
    own = {"function": "function", "schedule": "schedule", "timeout": "timeout_milliseconds"}
    kept = {column for setting, column in own.items() if setting not in wanted.model_fields_set}
    register = sql.SQL(
        "insert into autosync.job as j ({columns}) values ({values}) on conflict (name) do update"
        " set ({changeable}, updated_at) = row({new}, clock_timestamp())"
        " where ({old}) is distinct from ({new}) returning j.name"
    ).format(
        columns=sql.SQL(", ").join(map(sql.Identifier, values)),
        values=sql.SQL(", ").join(map(sql.Literal, values.values())),
        changeable=sql.SQL(", ").join(map(sql.Identifier, changeable)),
        old=sql.SQL(", ").join(sql.Identifier("j", name) for name in changeable),
        new=sql.SQL(", ").join(
            _ADOPTED.format(sql.Identifier(name)) if name in kept else sql.Identifier("excluded", name)
            for name in changeable
        ),
    )
    return [*_take_over_default(wanted.name), register]


_ADOPTED = sql.SQL(
    "case when exists (select from autosync.adopted as a where a.object = 'cron job ' || j.name)"
    " then j.{0} else excluded.{0} end"
)


def pause(connection: Connection, name: str) -> None:
    """Stop the job's ticks and record who did it; calls under way are not interrupted."""
    with connection.transaction():
        find(connection, name)
        connection.execute(
            "update autosync.job set paused_at = clock_timestamp(), paused_by = session_user"
            " where name = %s and paused_at is null",
            [name],
        )
        _sync(connection, name)


def resume(connection: Connection, name: str) -> None:
    """Let the job tick again."""
    with connection.transaction():
        find(connection, name)
        connection.execute("update autosync.job set paused_at = null, paused_by = null where name = %s", [name])
        _sync(connection, name)


def _take_over_default(name: str) -> list[sql.Composed]:
    default = GUIDE_JOB
    if name == default:
        return []
    values = {"name": sql.Literal(name), "default": sql.Literal(default)}
    return [
        sql.SQL(
            "update autosync.job as j set name = {name} where j.name = {default}"
            " and not exists (select from autosync.job as o where o.name = {name})"
            " and not exists (select from autosync.tick as t where t.job_id = j.id)"
        ).format(**values),
        # it has another name now, or it is none of ours
        sql.SQL(
            "select cron.unschedule(c.jobid) from cron.job as c where c.jobname = {default}"
            " and c.username = current_user and c.command = autosync.job_command({default})"
            " and not exists (select from autosync.job as j where j.name = c.jobname)"
        ).format(**values),
    ]


def _sync(connection: Connection, name: str, schedule: str | None = None) -> str:
    try:
        return str(value(connection, "select autosync.sync_job(%s)", [name]))
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError(
            error.diag.message_primary or str(error),
            hint=error.diag.message_hint or "connect as the job's owner",
        ) from error
    except psycopg.errors.InvalidParameterValue as error:
        raise UsageError(
            f"pg_cron refuses the schedule: {error.diag.message_primary}",
            hint="use five fields like */5 * * * *; schedules in seconds need pg_cron 1.5 or newer",
        ) from error
    except (psycopg.errors.RaiseException, psycopg.InternalError) as error:
        if schedule is not None and isinstance(error, psycopg.InternalError):
            # before 1.5 pg_cron reported a schedule that it cannot read as an internal error
            cron.check(schedule, "1.4")
        raise MigrationError(
            f"the job could not be scheduled: {error.diag.message_primary}", hint="run: autosync-db verify"
        ) from error
