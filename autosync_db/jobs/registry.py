"""The scheduled job: what autosync.job says it must be, what cron.job is, and firing it by hand."""

from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg import sql

from autosync_db.config import JobSettings, Settings
from autosync_db.connection import Connection
from autosync_db.errors import AutosyncError, CheckFailedError, MigrationError, UsageError


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
    if connection.execute("select to_regclass('autosync.job')").fetchone() == (None,):
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
        scheduled = _sync(connection, settings.job.name)
    return "changed" if registered and scheduled == "unchanged" else scheduled


def registration(settings: Settings) -> list[sql.Composed]:
    """Return the statements that make autosync.job say what the settings say; the last one returns a row if it changed.

    The job that the migration made is renamed, if it never ticked: it would go on ticking beside this one. A job that
    was there before us keeps what it had of its own, until a setting says otherwise.
    """
    wanted, retention = settings.job, settings.retention
    values: dict[str, object] = {
        "name": wanted.name,
        "function": wanted.function,
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


def trigger(connection: Connection, name: str) -> int:
    """Run one tick now and return its id; it makes a call even when nothing is due or the job is paused.

    Raises CheckFailedError with the message that pg_cron would record of a failed run.
    """
    find(connection, name)
    try:
        row = connection.execute("select autosync.dispatch(%s, force => true)", [name]).fetchone()
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise CheckFailedError(
            f"the tick failed: {error.diag.message_primary}",
            hint=error.diag.message_hint or "find the cause with: autosync-db verify",
        ) from error
    assert row is not None
    return int(row[0])


def _take_over_default(name: str) -> list[sql.Composed]:
    default = JobSettings().name
    if name == default:
        return []
    values = {"name": sql.Literal(name), "default": sql.Literal(default)}
    return [
        sql.SQL(
            "update autosync.job as j set name = {name} where j.name = {default}"
            " and not exists (select from autosync.job as o where o.name = {name})"
            " and not exists (select from autosync.tick as t where t.job_name = {default})"
        ).format(**values),
        # it has another name now, or it is none of ours
        sql.SQL(
            "select cron.unschedule(c.jobid) from cron.job as c where c.jobname = {default}"
            " and c.username = current_user and c.command = autosync.job_command({default})"
            " and not exists (select from autosync.job as j where j.name = c.jobname)"
        ).format(**values),
    ]


def _sync(connection: Connection, name: str) -> str:
    try:
        row = connection.execute("select autosync.sync_job(%s)", [name]).fetchone()
    except psycopg.errors.InsufficientPrivilege as error:
        raise MigrationError(
            error.diag.message_primary or str(error),
            hint=error.diag.message_hint or "connect as the job's owner",
        ) from error
    except psycopg.errors.RaiseException as error:
        raise _refused(error) from error
    except psycopg.InternalError as error:
        raise _refused(error) from error
    except psycopg.errors.InvalidParameterValue as error:
        raise _refused(error) from error
    assert row is not None
    return str(row[0])


def _refused(error: psycopg.Error) -> AutosyncError:
    message = error.diag.message_primary or str(error)
    if message.startswith("invalid schedule"):
        return UsageError(
            f"pg_cron refuses the schedule: {message}",
            hint="use five fields like */5 * * * *; schedules in seconds need pg_cron 1.5 or newer",
        )
    return MigrationError(f"the job could not be scheduled: {message}", hint="run: autosync-db verify")
