"""The scheduled jobs: what autosync.job says they must be, and what cron.job is."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus
from psycopg.rows import class_row, dict_row

from autosync_db import cron
from autosync_db.config import GUIDE_JOB, HOUSEKEEPING_JOB, Configuration, JobSettings, Settings
from autosync_db.connection import Connection, exists, require, rows, value
from autosync_db.errors import MigrationError, UsageError, unknown
from autosync_db.jobs import columns

# a cron job of this name is somebody else's: see autosync.sync_job()
TAKEN = "AS010"
# who has paused a job that is being taken over, and that no call has proven yet: see setup/unproven.py
UNFINISHED = "an unfinished jobs adopt"


@dataclass(frozen=True, slots=True)
class Job:
    """One job, as registered and as pg_cron has it (None where it has no such job)."""

    name: str
    kind: str
    function: str | None
    url: str | None
    sql: str | None
    schedule: str | None
    timeout: timedelta
    invoke: str
    drains: str | None
    overlap: str
    auth: str
    reports_within: timedelta | None
    enabled: bool
    paused_at: datetime | None
    paused_by: str | None
    cron_id: int | None
    cron_schedule: str | None
    active: bool | None
    inherited_from: str | None = None

    @property
    def makes_calls(self) -> bool:
        """Whether a tick of the job is an HTTP call."""
        return self.kind in {"function", "url"}

    @property
    def patience(self) -> timedelta:
        """How long an answer may take, and the report after it where there is one."""
        return self.timeout + (self.reports_within or timedelta())

    @property
    def does(self) -> str:
        """Return what the job does, in a few words."""
        return self.function or self.url or " ".join((self.sql or "only watched").split())

    @property
    def state(self) -> str:
        """Return whether the job ticks, in a few words."""
        if self.kind == "watch":
            return "not scheduled" if self.cron_id is None else "active" if self.active else "inactive"
        if self.inherited_from and self.makes_calls:
            return f"off: inherited from {self.inherited_from}"
        if self.paused_at:
            return f"paused by {self.paused_by}"
        if not self.enabled:
            return "disabled by the file"
        return "not scheduled" if self.cron_id is None else "active" if self.active else "inactive"


_JOBS = """
    select j.name,
        case when j.function is not null then 'function' when j.url is not null then 'url'
            when j.sql is not null then 'sql' else 'watch' end as kind,
        j.function, j.url, j.sql, j.schedule, make_interval(secs => j.timeout_milliseconds / 1000.0) as timeout,
        j.invoke, j.drains, j.overlap, j.auth, j.reports_within, j.enabled, j.paused_at, j.paused_by,
        c.jobid as cron_id, c.schedule as cron_schedule, c.active,
        -- a copy in another project: autosync.binding_findings()
        (
            select s.value ->> 'project_ref'
            from autosync.setting as s
            where s.name = 'binding' and s.value ->> 'inherited_by' <> s.value ->> 'project_ref'
        ) as inherited_from
    from autosync.job as j
    left join lateral (
        select k.jobid, k.schedule, k.active from cron.job as k where k.jobname = j.name order by k.jobid limit 1
    ) as c on true
    where cast(%(name)s as text) is null or j.name = %(name)s
    order by j.id
"""


_NOTHING = (
    "(select null::bigint as jobid, null::text as jobname, null::text as schedule, null::boolean as active limit 0) as"
)


def all_jobs(connection: Connection, name: str | None = None) -> list[Job]:
    """Return every registered job, or that of one name. Raises MigrationError when the database has no registry."""
    require(connection, "autosync.job")
    with connection.cursor(row_factory=class_row(Job)) as cursor:
        try:
            return cursor.execute(_JOBS, {"name": name}).fetchall()
        except psycopg.errors.UndefinedTable:
            if connection.info.transaction_status is not TransactionStatus.IDLE:
                raise
            # without pg_cron no job is scheduled
            return cursor.execute(_JOBS.replace("cron.job as", _NOTHING), {"name": name}).fetchall()


def find(connection: Connection, name: str, settings: Settings | None = None) -> Job:
    """Return the job called `name`. Raises MigrationError when the database has no registry, UsageError for no job.

    Of a job that by the settings runs on other targets that is said.
    """
    for job in all_jobs(connection, name):
        return job
    if settings and name in settings.elsewhere:
        raise not_here(settings, name)
    known = [job.name for job in all_jobs(connection)]
    raise unknown(
        "job",
        name,
        known,
        hint=f"the database has {', '.join(known) or 'none'}; create a job of autosync.toml with: autosync-db setup",
    )


def choose(connection: Connection, settings: Settings, name: str | None) -> Job:
    """Return the job of this name; without one the only job, or that of [job], or the guide's.

    Raises UsageError when there are several, or when the named one is not there.
    """
    if name is not None:
        return find(connection, name, settings)
    known = spoken_of(connection, settings)
    if settings.job is not None:
        return find(connection, settings.job.name)
    if not known:
        raise UsageError("no job of autosync.toml runs on this target", hint=f"run it elsewhere: {_places(settings)}")
    if len(known) == 1 or GUIDE_JOB in known:
        return find(connection, GUIDE_JOB if GUIDE_JOB in known else known[0])
    raise UsageError("there are several jobs", hint=f"name one of them: {', '.join(known)}")


def spoken_of(connection: Connection, settings: Settings, names: Iterable[str] = ()) -> list[str]:
    """Return the registered jobs that are spoken of: those given, else the file's, else all.

    Raises what find() raises for a given one that is not registered, or when none is that runs here.
    """
    if chosen := list(dict.fromkeys(names)):
        return [find(connection, name, settings).name for name in chosen]
    known = {job.name for job in all_jobs(connection)}
    wanted = list(registered(connection, settings).jobs)
    found = [name for name in wanted if name in known]
    # what runs elsewhere and is here all the same is paused here, or is to be
    found += [name for name in settings.elsewhere if name in known]
    return found or [find(connection, name).name for name in wanted[:1]]


def not_here(settings: Settings, name: str) -> UsageError:
    """Return the error of a job that by the settings runs on other targets."""
    targets = settings.elsewhere[name].targets or []
    return UsageError(
        f"the job {name} does not run here: autosync.toml has it on {', '.join(targets)}",
        hint=f"name that target: --target {targets[0]}",
    )


def _places(settings: Settings) -> str:
    return "; ".join(f"{name} on {', '.join(job.targets or [])}" for name, job in settings.elsewhere.items())


def registered(connection: Connection, settings: Settings) -> Settings:
    """Return the settings, with the jobs of the database where nobody named any."""
    if settings.names_jobs or not exists(connection, "autosync.job"):
        return settings
    with connection.cursor(row_factory=dict_row) as cursor:
        found = cursor.execute(
            "select j.* from autosync.job as j where j.name <> %s order by j.id", [HOUSEKEEPING_JOB]
        ).fetchall()
    if not found:
        return settings
    jobs: dict[str, JobSettings] = {row["name"]: columns.settings_of(row) for row in found}
    kept = settings.retention if "retention" in settings.model_fields_set else columns.retention_of(found[0])
    return settings.model_copy(update={"jobs": jobs, "retention": kept})


def speaking(connection: Connection, configuration: Configuration) -> Configuration:
    """Return the configuration, with the jobs of the database where nobody named any."""
    return dataclasses.replace(configuration, settings=registered(connection, configuration.settings))


_NOT_OURS = sql.SQL(
    "select c.jobname, c.command from cron.job as c where c.jobname = any(%s)"
    " and c.command not like 'select autosync.dispatch(%%' and not ({ours}) order by c.jobid"
)
_OURS = sql.SQL(
    "exists (select from autosync.job as j where j.name = c.jobname and j.scheduled_command is not null)"
    " or exists (select from autosync.adopted as a where a.object = 'cron job ' || c.jobname)"
)


def taken(connection: Connection, settings: Settings, declared: Collection[str] = ()) -> list[str]:
    """Return the names of the settings that a cron job has which nobody here made or took over. At any revision.

    One with the same text is somebody's, too: registered without a record of it, `jobs remove` would drop it. But not
    one that is `declared`: our own schema files make it before it is registered.
    """
    wanted = {name: job.sql for name, job in settings.jobs.items() if job.kind != "watch"}
    if not wanted or not exists(connection, "cron.job"):
        return []
    has_registry = exists(connection, "autosync.job", "autosync.adopted")
    # what the guide made is taken over by the migration
    ours = _OURS if has_registry else sql.SQL("c.jobname = 'auto-sync-cron-job'")
    found = rows(connection, _NOT_OURS.format(ours=ours), [list(wanted)])
    return [name for name, command in found if command != wanted[name] or name not in declared]


@contextmanager
def change(connection: Connection) -> Iterator[None]:
    """Open a transaction in which nobody else changes a job.

    Each change may end in another schedule of the housekeeping, so each begins with that row: what it then finds stays
    true, and no two wait for each other.
    """
    with connection.transaction():
        connection.execute("select from autosync.job as j where j.name = %s for no key update", [HOUSEKEEPING_JOB])
        yield


def pause(connection: Connection, name: str) -> None:
    """Stop the job's ticks and record who did it; calls under way are not interrupted."""
    with change(connection):
        require_ours(find(connection, name))
        connection.execute(
            "update autosync.job set paused_at = clock_timestamp(), paused_by = session_user"
            " where name = %s and paused_at is null",
            [name],
        )
        sync(connection, name)


def resume(connection: Connection, name: str) -> Job:
    """Let the job tick again; return it, because the file may keep it disabled all the same."""
    with change(connection):
        job = find(connection, name)
        require_ours(job)
        if job.paused_by and job.paused_by.startswith(UNFINISHED):
            raise UsageError(
                f"the job {name} is not taken over yet; its own text runs",
                hint=f"go on with: autosync-db jobs adopt {name}; if the cron job has another name, add --from ID",
            )
        connection.execute("update autosync.job set paused_at = null, paused_by = null where name = %s", [name])
        sync(connection, name)
        return find(connection, name)


def reschedule(connection: Connection, name: str, schedule: str) -> str:
    """Give the job another schedule; return what became of its cron job: `changed` or `unchanged`.

    Raises UsageError for a schedule that pg_cron does not run as it is written, and for the housekeeping.
    """
    version = value(connection, "select extversion from pg_extension where extname = 'pg_cron'")
    cron.check(schedule, version)
    with change(connection):
        require_ours(find(connection, name), but_housekeeping=True)
        text = " ".join(schedule.split())
        connection.execute(
            "update autosync.job set schedule = %(schedule)s, updated_at = clock_timestamp()"
            " where name = %(name)s and schedule is distinct from %(schedule)s",
            {"name": name, "schedule": text},
        )
        return sync(connection, name, text)


def remove(connection: Connection, name: str) -> None:
    """Unschedule the job and forget it; its history goes with housekeeping. A watched cron job is left alone."""
    with change(connection):
        job = find(connection, name)
        if job.name == HOUSEKEEPING_JOB:
            raise UsageError(
                "housekeeping is removed with the last job", hint="to remove everything: autosync-db teardown"
            )
        if job.kind != "watch":
            owners = rows(
                connection,
                "select c.jobid, c.username = current_user, c.username from cron.job as c where c.jobname = %(name)s"
                # the text of one that is not taken over yet is still its owner's
                " and (not %(is_unfinished)s or c.command = autosync.job_command(%(name)s))",
                {"name": name, "is_unfinished": (job.paused_by or "").startswith(UNFINISHED)},
            )
            for job_id, is_own, owner in owners:
                if not is_own:
                    raise MigrationError(
                        f"the cron job {name!r} belongs to the role {owner!r}", hint=f"connect as {owner}"
                    )
                connection.execute("select cron.unschedule(%s::bigint)", [job_id])
        connection.execute("delete from autosync.job where name = %s", [name])
        keep_house_in_step(connection)


def require_ours(job: Job, *, but_housekeeping: bool = False) -> None:
    """Return unless the job is only watched, or is the housekeeping where that has a schedule of its own."""
    if job.kind == "watch":
        raise UsageError(
            f"{job.name} is only watched, so autosync-db does not change it",
            hint=f"take it over with: autosync-db jobs adopt {job.name}",
        )
    if but_housekeeping and job.name == HOUSEKEEPING_JOB:
        raise UsageError("housekeeping runs as often as the busiest job", hint="reschedule that one")


def keep_house_in_step(connection: Connection) -> None:
    """Let housekeeping come as often as the jobs need it now."""
    connection.execute(
        "update autosync.job as j set schedule = autosync.house_schedule(), updated_at = clock_timestamp()"
        " where j.name = %s and j.schedule <> autosync.house_schedule()",
        [HOUSEKEEPING_JOB],
    )
    sync(connection, HOUSEKEEPING_JOB)


def sync(connection: Connection, name: str, schedule: str | None = None) -> str:
    """Bring the job's cron job to what autosync.job says; return `created`, `changed` or `unchanged`.

    Raises MigrationError when it belongs to another role or to nobody here, UsageError when pg_cron does not
    understand the schedule.
    """
    try:
        return str(value(connection, "select autosync.sync_job(%s)", [name]))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        raise _explained(error, name, schedule) from error


# of a job of somebody's that has the name of housekeeping, as autosync.sync_job() says it
RENAMING = (
    "give yours another name: select cron.schedule('my-keep-house', c.schedule, c.command), cron.unschedule(c.jobid)"
    " from cron.job as c where c.jobname = 'autosync-keep-house'"
)


def name_is_taken(name: str) -> MigrationError:
    """Return the refusal to overwrite a cron job that nobody here made."""
    return MigrationError(
        f"there is a cron job {name!r} already, which autosync-db did not make; nothing was changed",
        hint=RENAMING
        if name == HOUSEKEEPING_JOB
        else f"take it over with: autosync-db jobs adopt {name}; or give yours another name",
    )


def _explained(error: psycopg.Error, name: str, schedule: str | None) -> MigrationError | UsageError:
    message = error.diag.message_primary or str(error)
    if error.sqlstate == TAKEN:
        return name_is_taken(name)
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        return MigrationError(message, hint=error.diag.message_hint or "connect as the job's owner")
    if isinstance(error, psycopg.errors.InvalidParameterValue):
        return UsageError(
            f"pg_cron refuses the schedule: {message}",
            hint="use five fields like */5 * * * *; schedules in seconds need pg_cron 1.5 or newer",
        )
    if schedule is not None and isinstance(error, psycopg.InternalError):
        # before 1.5 pg_cron reported a schedule that it cannot read as an internal error
        cron.check(schedule, "1.4")
    return MigrationError(f"the job {name} could not be scheduled: {message}", hint="run: autosync-db verify")
