"""The replaceable objects: every file under sql/ that may be applied again at any time.

Each file names the revision it needs in its head (`-- requires: 0003`). After revisions have run, the files that
changed, and those whose object was changed or dropped in the database, are applied in the same transaction.

Files under templates/access/ are rendered first: who may see which schedules is a choice of the project. The choice is
kept in the database (autosync.setting), so that a migration that does not know the settings file keeps it.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql
from psycopg.types.json import Jsonb

from autosync_db import resources
from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection

# the folders in the order in which they are applied
_FOLDERS = (
    ("sql/extensions", ".sql"),
    ("sql/functions", ".sql"),
    ("sql/triggers", ".sql"),
    ("sql/access", ".sql"),
    ("templates/access", ".sql.j2"),
    ("sql/jobs", ".sql"),
)
# columns of auto_sync_schedules that API users may write; the rest belongs to the trigger and the function
API_COLUMNS = (
    "integration_id",
    "organization_id",
    "enabled",
    "frequency_minutes",
    "direction",
    "conflict_resolution",
    "only_online",
    "time_window_enabled",
    "time_window_start",
    "time_window_end",
    "timezone",
    "device_filter",
    "device_tags",
    "created_by",
    "updated_by",
)

# How the server itself renders what a file made: compared with what it rendered right after applying.
# A job counts as current while cron.job agrees with autosync.job, whose content belongs to the user.
_RENDERED = """
with wanted as (
    select path, split_part(path, '/', 2) as kind,
        regexp_replace(split_part(path, '/', 3), '\\.sql(\\.j2)?$', '') as name
    from unnest(%(paths)s::text[]) as path
)
select w.path, case w.kind
    when 'extensions' then (select 'present' from pg_extension as e where e.extname = w.name)
    when 'functions' then (
        select string_agg(
            pg_get_functiondef(p.oid) || coalesce(p.proacl::text, '') || p.proowner::regrole::text,
            ';' order by p.oid::regprocedure::text
        )
        from pg_proc as p
        where p.pronamespace = to_regnamespace(split_part(w.name, '.', 1))
            and p.proname = split_part(w.name, '.', 2)
    )
    when 'triggers' then (
        select pg_get_triggerdef(t.oid) || t.tgenabled::text
        from pg_trigger as t
        where t.tgrelid = to_regclass(split_part(w.name, '.', 1) || '.' || split_part(w.name, '.', 2))
            and t.tgname = split_part(w.name, '.', 3)
    )
    when 'access' then coalesce(
        (
            select c.relrowsecurity::text || c.relforcerowsecurity || coalesce(c.relacl::text, '') || coalesce((
                select string_agg(a.attname || a.attacl::text, ',' order by a.attnum)
                from pg_attribute as a
                where a.attrelid = c.oid and a.attacl is not null
            ), '') || coalesce((
                select string_agg(
                    concat_ws('|', p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check),
                    ';' order by p.policyname
                )
                from pg_policies as p
                where p.schemaname = c.relnamespace::regnamespace::text and p.tablename = c.relname
            ), '')
            from pg_class as c
            where position('.' in w.name) > 0 and c.oid = to_regclass(w.name)
        ),
        (
            select coalesce(n.nspacl::text, 'default')
            from pg_namespace as n
            where position('.' in w.name) = 0 and n.nspname = w.name
        )
    )
end
from wanted as w
"""

_JOBS_CURRENT = """
select count(*) = count(c.jobid)::bigint
from autosync.job as j
left join cron.job as c
    on c.jobname = j.name
    and c.schedule = j.schedule
    and c.command = autosync.job_command(j.name)
    and c.username = (
        select pg_get_userbyid(p.proowner) from pg_proc as p where p.oid = to_regprocedure('autosync.sync_job(text)')
    )
"""


class State(StrEnum):
    """How an object in the database compares with its file."""

    CURRENT = "current"
    MISSING = "missing"  # never applied, or dropped since
    OUTDATED = "outdated"  # applied from an older text of the file
    EDITED = "edited"  # changed in the database since it was applied


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """One file under sql/ that describes one object."""

    path: str
    requires: str
    source: str

    @property
    def source_hash(self) -> str:
        """Identify the text of the file."""
        return hashlib.sha256(self.source.encode()).hexdigest()


def files(isolation: IsolationSettings) -> list[ObjectFile]:
    """Return every replaceable file in the order in which they are applied, rendered for `isolation`."""
    found = []
    for folder, suffix in _FOLDERS:
        for name in resources.names(folder, suffix):
            path = f"{folder}/{name}{suffix}"
            source = _source(path, isolation)
            head = re.search(r"^-- requires: (\d{4})$", source, re.MULTILINE)
            if head is None:
                raise ValueError(f"{path} does not say which revision it requires")
            found.append(ObjectFile(path, head[1], source))
    return found


def available_at(revision: str | None, isolation: IsolationSettings) -> list[ObjectFile]:
    """Return the files whose required revision is applied when `revision` is."""
    return [file for file in files(isolation) if revision is not None and file.requires <= revision]


def states(
    connection: Connection, revision: str | None, isolation: IsolationSettings | None = None
) -> dict[str, State]:
    """Return the state of every object that belongs to a database at `revision`. Reads only.

    `isolation` None stands for the mode that the database was last given.
    """
    wanted = available_at(revision, isolation or stored_isolation(connection))
    recorded = _recorded(connection)
    rendered = _rendered(connection, wanted)
    found = {}
    for file in wanted:
        source_hash, live_hash = recorded.get(file.path, (None, None))
        if rendered[file.path] is None or source_hash is None:
            found[file.path] = State.MISSING
        elif source_hash != file.source_hash:
            found[file.path] = State.OUTDATED
        else:
            found[file.path] = State.CURRENT if rendered[file.path] == live_hash else State.EDITED
    return found


def apply(connection: Connection, revision: str | None, isolation: IsolationSettings | None = None) -> list[str]:
    """Apply every file that is not current and return their paths. The caller's transaction makes it atomic.

    `isolation`, when given, is kept as the database's own from now on.
    """
    if revision is None:
        return []
    connection.execute("set local check_function_bodies = off")
    if isolation is not None and _has_settings(connection):
        connection.execute(
            "insert into autosync.setting as s (name, value) values ('isolation', %s) on conflict (name) do update"
            " set value = excluded.value, updated_at = clock_timestamp() where s.value <> excluded.value",
            [Jsonb(isolation.model_dump())],
        )
    wanted = available_at(revision, stored_isolation(connection))
    connection.execute("delete from autosync.object where not path = any(%s::text[])", [[file.path for file in wanted]])
    changed = states(connection, revision)
    applied = [file for file in wanted if changed[file.path] is not State.CURRENT]
    for file in applied:
        if file.path.startswith("sql/functions/"):
            _close(connection, file)  # `create or replace` keeps the grants that somebody added
        # no parameters: the text runs as written, with its % and :
        connection.execute(file.source.encode())
    rendered = _rendered(connection, wanted)
    for file in applied:
        connection.execute(
            """
            insert into autosync.object (path, source_hash, live_hash) values (%s, %s, %s)
            on conflict (path) do update
            set source_hash = excluded.source_hash, live_hash = excluded.live_hash, applied_at = clock_timestamp()
            """,
            [file.path, file.source_hash, rendered[file.path]],
        )
    return [file.path for file in applied]


def script(revision: str | None, isolation: IsolationSettings | None) -> str:
    """Return the text that applies every object for `revision`, for a script that is run elsewhere.

    The registry is left without their hashes, so that the next `migrate` compares and records them.
    """
    parts = ["set local check_function_bodies = off;"]
    wanted = available_at(revision, isolation or IsolationSettings())
    if isolation is not None:
        parts.append(
            sql.SQL("insert into autosync.setting (name, value) values ('isolation', {});")
            .format(sql.Literal(Jsonb(isolation.model_dump())))
            .as_string()
        )
    parts += [f"-- {file.path}\n{file.source.strip()}" for file in wanted]
    return "\n\n".join(parts) + "\n"


def stored_isolation(connection: Connection) -> IsolationSettings:
    """Return the isolation mode that the database was last given, or the default."""
    if _has_settings(connection):
        row = connection.execute("select value from autosync.setting where name = 'isolation'").fetchone()
        if row is not None:
            return IsolationSettings.model_validate(row[0])
    return IsolationSettings()


def _source(path: str, isolation: IsolationSettings) -> str:
    if not path.endswith(".j2"):
        return resources.read(path)
    return resources.render(path, isolation=isolation, identifier=_identifier, settable=API_COLUMNS)


def _identifier(name: str) -> str:
    return sql.Identifier(*name.split(".")).as_string()


def _has_settings(connection: Connection) -> bool:
    return connection.execute("select to_regclass('autosync.setting') is not null").fetchone() == (True,)


def _close(connection: Connection, file: ObjectFile) -> None:
    schema, name = file.path.rpartition("/")[2].removesuffix(".sql").split(".")
    rows = connection.execute(
        """
        select format('revoke all on function %%s from %%s', p.oid::regprocedure,
            case when a.grantee = 0 then 'public' else a.grantee::regrole::text end)
        from pg_proc as p
        cross join lateral aclexplode(p.proacl) as a
        where p.pronamespace = to_regnamespace(%s) and p.proname = %s and a.grantee <> p.proowner
        """,
        [schema, name],
    ).fetchall()
    for (statement,) in rows:
        connection.execute(statement.encode())


def _recorded(connection: Connection) -> dict[str, tuple[str, str]]:
    if connection.execute("select to_regclass('autosync.object')").fetchone() == (None,):
        return {}
    rows = connection.execute("select path, source_hash, live_hash from autosync.object").fetchall()
    return {path: (source_hash, live_hash) for path, source_hash, live_hash in rows}


def _rendered(connection: Connection, wanted: list[ObjectFile]) -> dict[str, str | None]:
    # how names are rendered depends on the search path
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('search_path', '', true)")
        rows = connection.execute(_RENDERED, {"paths": [file.path for file in wanted]}).fetchall()
    rendered = {path: text and hashlib.sha256(text.encode()).hexdigest() for path, text in rows}
    for path in rendered:
        if path.startswith("sql/jobs/"):
            rendered[path] = "current" if _jobs_current(connection) else None
    return rendered


def _jobs_current(connection: Connection) -> bool:
    present = connection.execute(
        "select exists (select from pg_extension where extname = 'pg_cron') and to_regclass('autosync.job') is not null"
        " and to_regprocedure('autosync.sync_job(text)') is not null"
        " and to_regprocedure('autosync.job_command(text)') is not null"
    ).fetchone()
    if present != (True,):
        return False
    return connection.execute(_JOBS_CURRENT).fetchone() == (True,)
