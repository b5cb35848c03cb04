"""The difference between the settings and the database, and what takes it away.

One text of SQL says what each job's row is to be: it is compared by the plan, applied by setup, and printed by repairs.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, Literal

import psycopg
from psycopg import sql
from psycopg.types.json import Jsonb

from autosync_db.config import GUIDE_JOB, HOUSEKEEPING_JOB, IsolationSettings, SecretsSettings, Settings, Target
from autosync_db.connection import Connection, exists, rows, setting
from autosync_db.jobs import binding, columns, registry
from autosync_db.supabase import key

Action = Literal["create", "change", "pause", "resume", "schedule", "taken", "not in the file", "set"]
# the tables of the file that are rows of autosync.setting; one that nobody wrote leaves the database as it is
SECTIONS = ("limits", "alerts")


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that is otherwise in the database than in the file."""

    name: str
    database: Any
    file: Any


@dataclass(frozen=True, slots=True)
class Difference:
    """What setup would do to a job, or to what [`table`] of the file says where `job` is None.

    `not in the file`: nothing, the job is kept. `taken`: a cron job has this name that nobody here made,
    and setup refuses to overwrite it.
    """

    job: str | None
    action: Action
    changes: tuple[Change, ...] = ()
    table: str | None = None

    @property
    def is_of_the_file(self) -> bool:
        """Whether somebody edited the file, or what came of it in the database, since it was applied."""
        return self.action in {"create", "change", "pause", "resume", "set"}

    def __str__(self) -> str:
        if self.action == "create":
            return f"{self.job} is new"
        return f"{self.job or f'[{self.table}]'} differs in {', '.join(change.name for change in self.changes)}"


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done to one job; `changes` are the columns of autosync.job that say something else now."""

    job: str
    result: Literal["created", "changed", "unchanged", "paused"]
    changes: tuple[str, ...] = ()


def _jobs(settings: Settings) -> sql.Literal:
    items = [
        {"position": position, "row": columns.of(job, settings.retention), "kept": columns.kept(job)}
        for position, job in enumerate(settings.jobs.values())
    ]
    return sql.Literal(Jsonb(items))


def wanted(settings: Settings) -> sql.Composed:
    """Return the query of the rows that the settings want, as `position` and the columns of columns.NAMES.

    A job that was there before us keeps what it had of its own, until a setting says otherwise, and a job whose
    credential nobody chose keeps the one that was chosen before.
    """
    kept: dict[str, sql.Composable] = {
        name: sql.SQL(
            "case when e.item -> 'kept' ? {text}"
            " and exists (select from autosync.adopted as a where a.object = 'cron job ' || p.name)"
            " then p.{name} else w.{name} end"
        ).format(text=sql.Literal(name), name=sql.Identifier(name))
        for name in ("function", "schedule", "timeout_milliseconds")
    }
    is_kept = (
        "e.item -> 'kept' ? 'auth' and w.function is not null and (p.auth in ('service_key', 'cron_secret') or"
        " p.auth = 'secret' and exists (select from autosync.adopted as a where a.object = 'cron job ' || p.name))"
    )
    for name in ("auth", "secret_name", "secret_header", "secret_prefix"):
        kept[name] = sql.SQL(f"case when {is_kept} then p.{{0}} else w.{{0}} end").format(sql.Identifier(name))
    return sql.SQL(
        "select (e.item ->> 'position')::integer as position, {columns}"
        " from jsonb_array_elements({jobs}) as e (item)"
        " cross join lateral jsonb_populate_record(cast(null as autosync.job), e.item -> 'row') as w"
        " left join autosync.job as p on p.name = w.name"
    ).format(
        columns=sql.SQL(", ").join(
            sql.SQL("{} as {}").format(kept.get(name, sql.Identifier("w", name)), sql.Identifier(name))
            for name in columns.NAMES
        ),
        jobs=_jobs(settings),
    )


def registration(settings: Settings, only: str | None = None) -> list[sql.Composed]:
    """Return the statements that make autosync.job say what the settings say, of all their jobs or of `only` one.

    The last one returns the names of what changed and whether each is new. The job that the migration made is renamed
    to the main one, if it never ticked and nobody had it before: it would go on ticking beside it.
    """
    before = _take_over_default(settings) if only in {None, settings.main.name} else []
    if only is not None:
        settings = settings.model_copy(update={"jobs": {only: settings.jobs[only]}})
    # no upsert: it takes a number of the sequence for each row that is there
    register = sql.SQL(
        "with wanted as materialized ({wanted}),"
        " changed as (update autosync.job as j set ({changeable}, updated_at) = row({new}, clock_timestamp())"
        " from wanted as w where j.name = w.name and ({old}) is distinct from ({new}) returning j.name),"
        " added as (insert into autosync.job ({columns}) select {every} from wanted as w"
        " where not exists (select from autosync.job as p where p.name = w.name) order by w.position"
        " on conflict (name) do nothing returning name)"
        " select c.name, false from changed as c union all select a.name, true from added as a"
    ).format(
        wanted=wanted(settings),
        columns=_list(columns.NAMES),
        every=_list(columns.NAMES, "w"),
        changeable=_list(columns.CHANGEABLE),
        new=_list(columns.CHANGEABLE, "w"),
        old=_list(columns.CHANGEABLE, "j"),
    )
    return [*before, register]


def apply(connection: Connection, settings: Settings) -> list[Applied]:
    """Bring autosync.job and pg_cron to the settings; jobs that they do not name are kept.

    Raises what registry.sync() raises; nothing is changed then.
    """
    with registry.change(connection):
        *before, register = registration(settings)
        for statement in before:
            connection.execute(statement)
        differences = {one.job: tuple(change.name for change in one.changes) for one in _of_jobs(connection, settings)}
        registered: dict[str, bool] = dict(connection.execute(register).fetchall())
        applied = []
        for name, job in sorted(settings.jobs.items()):
            result = registry.sync(connection, name, job.schedule)
            if result == "unchanged" and name in registered:
                result = "created" if registered[name] else "changed"
            changes = differences.get(name, ()) if result == "changed" else ()
            applied.append(Applied(name, result, changes))  # type: ignore[arg-type]
        paused = _pause_elsewhere(connection, settings)
        registry.keep_house_in_step(connection)
        for name, values in sections(settings).items():
            setting.put(connection, name, values)
    order = list(settings.jobs)
    return [*sorted(applied, key=lambda one: order.index(one.job)), *paused]


def _pause_elsewhere(connection: Connection, settings: Settings) -> list[Applied]:
    """Switch the jobs off that run on other targets, as `enabled = false` does."""
    found = rows(
        connection,
        "update autosync.job as j set enabled = false, updated_at = clock_timestamp()"
        " where j.name = any(%s) and j.enabled and not j.watch returning j.name",
        [settings.paused_here],
    )
    for (name,) in found:
        registry.sync(connection, name)
    return [Applied(name, "paused") for (name,) in found]


def read(
    connection: Connection, settings: Settings, target: Target | None = None, declared: Collection[str] = ()
) -> list[Difference]:
    """Return what differs, the file's jobs first and in its order; nothing when all is the same. Reads only.

    With `target`, also the address that it has and the calls do not go to; `declared` as for registry.taken().
    """
    if not exists(connection, "autosync.job", "autosync.adopted"):
        taken = set(registry.taken(connection, settings, declared))
        return [Difference(name, "taken" if name in taken else "create") for name in settings.jobs]
    address = _of_address(connection, target) if target else []
    settings = registry.registered(connection, settings)
    taken = set(registry.taken(connection, settings, declared))
    differences = [
        Difference(one.job, "taken") if one.job in taken else one for one in _of_jobs(connection, settings, taken)
    ]
    known = {one.job for one in differences}
    differences += [one for one in _unscheduled(connection, settings) if one.job not in known]
    differences += [Difference(name, "not in the file") for name in not_in_the_file(connection, settings)]
    return differences + _of_settings(connection, settings) + address


def _of_address(connection: Connection, target: Target) -> list[Difference]:
    """Return the address of a target where the calls go to another one."""
    try:
        stored = binding.called_url(connection)
    except psycopg.DatabaseError:
        return []  # it may not be looked at
    if stored is None or not binding.is_elsewhere(target, stored):
        return []
    change = Change("project_url", key.redact(stored), target.project_url)
    return [Difference(None, "set", (change,), f"targets.{target.name}")]


def unapplied(connection: Connection, settings: Settings) -> list[Difference]:
    """Return what the file says and the database does not have; nothing where that may not be looked at. Reads only."""
    try:
        if not exists(connection, "autosync.job", "autosync.adopted", "autosync.setting"):
            return []
        found = _of_jobs(connection, registry.registered(connection, settings)) + _of_settings(connection, settings)
    except psycopg.errors.InsufficientPrivilege:
        return []
    return [one for one in found if one.is_of_the_file]


def _of_jobs(connection: Connection, settings: Settings, taken: Collection[str] = ()) -> list[Difference]:
    """Return the jobs of the settings whose row differs, and those of `taken`."""
    differences: list[Difference] = []
    for name, present, wants, unequal in rows(
        connection,
        _COMPARISON.format(
            wanted=wanted(settings),
            unequal=sql.SQL(", ").join(
                sql.SQL("case when p.{0} is distinct from w.{0} then {1} end").format(sql.Identifier(c), sql.Literal(c))
                for c in columns.CHANGEABLE
            ),
        ),
    ):
        changes = tuple(Change(column, present and present[column], wants[column]) for column in unequal)
        if present is None:
            differences.append(Difference(name, "create", changes))
        elif unequal == ["enabled"]:
            differences.append(Difference(name, "resume" if wants["enabled"] else "pause", changes))
        elif unequal or name in taken:
            differences.append(Difference(name, "change", changes))
    return differences + _on_elsewhere(connection, settings)


_COMPARISON = sql.SQL(
    "select w.name, to_jsonb(p), to_jsonb(w), array_remove(array[{unequal}], null)"
    " from ({wanted}) as w left join autosync.job as p on p.name = w.name order by w.position"
)
# what autosync.sync_job() would put right
_UNSCHEDULED = """
    select j.name, c.jobid is not null, c.schedule, j.schedule, c.command, autosync.job_command(j.name),
        c.active, j.enabled and j.paused_at is null
    from autosync.job as j
    left join lateral (
        select k.* from cron.job as k where k.jobname = j.name order by k.username <> current_user, k.jobid limit 1
    ) as c on true
    where j.name = any(%s) and not j.watch and (c.schedule, c.command, c.active, c.database) is distinct from
        (j.schedule, autosync.job_command(j.name), j.enabled and j.paused_at is null, current_database())
    order by j.id
"""


def _unscheduled(connection: Connection, settings: Settings) -> list[Difference]:
    """Return the registered jobs of the settings whose cron job is not as registered."""
    names = [*settings.jobs, HOUSEKEEPING_JOB]
    if not exists(connection, "cron.job", "autosync.job_command(text)"):
        return [Difference(name, "schedule") for name in names]
    found = []
    for name, is_there, *pairs in rows(connection, _UNSCHEDULED, [names]):
        labelled = zip(("cron schedule", "cron command", "cron active"), pairs[::2], pairs[1::2], strict=True)
        changes = tuple(Change(label, (is_there and now) or None, file) for label, now, file in labelled if now != file)
        found.append(Difference(name, "schedule", changes))
    return found


def _on_elsewhere(connection: Connection, settings: Settings) -> list[Difference]:
    """Return the jobs that run here, and by the file only on other targets."""
    found = rows(
        connection,
        "select j.name from autosync.job as j where j.name = any(%s) and j.enabled and not j.watch order by j.id",
        [settings.paused_here],
    )
    return [Difference(name, "pause", (Change("enabled", True, False),)) for (name,) in found]


def not_in_the_file(connection: Connection, settings: Settings) -> list[str]:
    """Return the registered jobs that the settings do not name; none where they name no job at all."""
    if not settings.names_jobs:
        return []
    found = rows(
        connection,
        "select j.name from autosync.job as j where j.name <> all(%s) order by j.id",
        [[*settings.jobs, *settings.elsewhere, HOUSEKEEPING_JOB]],
    )
    return [name for (name,) in found]


def sections(settings: Settings) -> dict[str, dict[str, Any]]:
    """Return what the rows of autosync.setting are to be, by name, of the tables that somebody wrote."""
    return {name: getattr(settings, name).model_dump() for name in SECTIONS if name in settings.model_fields_set}


def chosen(settings: Settings) -> dict[str, tuple[dict[str, Any], dict[str, Any]]]:
    """Return the rows of autosync.setting that the file chooses, and what each means where there is none."""
    found: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
        name: (row, {}) for name, row in sections(settings).items()
    }
    if "mode" in settings.isolation.model_fields_set:
        found["isolation"] = settings.isolation.model_dump(), IsolationSettings().model_dump()
    if "secrets" in settings.model_fields_set:
        found["secrets"] = settings.secrets.model_dump(), SecretsSettings().model_dump()
    return found


def _of_settings(connection: Connection, settings: Settings) -> list[Difference]:
    differences = []
    for name, (wanted_row, default) in chosen(settings).items():
        present = setting.get(connection, name) or default
        changes = tuple(
            Change(key, present.get(key), new) for key, new in wanted_row.items() if present.get(key) != new
        )
        if changes:
            differences.append(Difference(None, "set", changes, name))
    return differences


def _list(names: Iterable[str], table: str | None = None) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(table, name) if table else sql.Identifier(name) for name in names)


def _take_over_default(settings: Settings) -> list[sql.Composed]:
    if GUIDE_JOB in settings.jobs or GUIDE_JOB in settings.elsewhere:
        return []
    if not settings.jobs:
        return [FORGETTING, UNSCHEDULING]
    values = {"name": sql.Literal(settings.main.name), "default": sql.Literal(GUIDE_JOB)}
    return [
        sql.SQL(
            "update autosync.job as j set name = {name}, scheduled_command = null where j.name = {default}"
            " and not exists (select from autosync.job as o where o.name = {name})"
            " and not exists (select from autosync.tick as t where t.job_id = j.id)"
            " and not exists (select from autosync.adopted as a where a.object = 'cron job ' || j.name)"
        ).format(**values),
        # it has another name now, or it is none of ours
        UNSCHEDULING,
    ]


# the guide's job as the migration makes it, where the settings have no such job
FORGETTING = sql.SQL(
    "delete from autosync.job as j where j.name = {default} and j.function = 'auto-sync-cron'"
    " and not exists (select from autosync.tick as t where t.job_id = j.id)"
    " and not exists (select from autosync.adopted as a where a.object = 'cron job ' || j.name) returning j.id"
).format(default=sql.Literal(GUIDE_JOB))
UNSCHEDULING = sql.SQL(
    "select cron.unschedule(c.jobid) from cron.job as c where c.jobname = {default}"
    " and c.username = current_user and c.command = 'select autosync.dispatch()'"
    " and not exists (select from autosync.job as j where j.name = c.jobname)"
).format(default=sql.Literal(GUIDE_JOB))
