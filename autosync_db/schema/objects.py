"""The replaceable objects: every file under sql/ that may be applied again at any time.

Each file names the revision it needs in its head (`-- requires: 0003`). After revisions have run, the files that
changed, and those whose object was changed or dropped in the database, are applied in the same transaction.

Files under templates/access/ are rendered first: who may see which schedules is a choice of the project. The choice is
kept in the database (autosync.setting), so that a migration that does not know the settings file keeps it.
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from psycopg import sql
from psycopg.types.json import Jsonb

from autosync_db import resources
from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection
from autosync_db.schema.adoption import ADOPTED_MODES, OWN_COLUMNS

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
# Grants are compared as sets, default ones included: a restore gives them in another order, or not at all.
# A job counts as current while cron.job agrees with autosync.job, whose content belongs to the user.
RENDERED = """
with wanted as (
    select path, split_part(path, '/', 2) as kind,
        regexp_replace(split_part(path, '/', 3), '\\.sql(\\.j2)?$', '') as name
    from unnest(%(paths)s::text[]) as path
)
select w.path, case w.kind
    when 'extensions' then (select 'present' from pg_extension as e where e.extname = w.name)
    when 'functions' then (
        select string_agg(
            pg_get_functiondef(p.oid) || coalesce((
                select string_agg(x::text, ',' order by x::text)
                from unnest(coalesce(p.proacl, acldefault('f', p.proowner))) as x
            ), '') || p.proowner::regrole::text,
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
            select c.relrowsecurity::text || c.relforcerowsecurity || coalesce((
                select string_agg(x::text, ',' order by x::text)
                from unnest(coalesce(c.relacl, acldefault('r', c.relowner))) as x
            ), '') || coalesce((
                select string_agg(a.attname || x::text, ',' order by a.attname, x::text)
                from pg_attribute as a
                cross join unnest(a.attacl) as x
                where a.attrelid = c.oid and not a.attisdropped
            ), '') || coalesce((
                select case
                    when bool_or(p.policyname = any(array[
                        p.tablename || '_nobody', p.tablename || '_owner', p.tablename || '_organization'
                    ])) then string_agg(
                        concat_ws('|', p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check),
                        ';' order by p.policyname
                    )
                    -- in the mode "custom" they are the project's own
                    else 'policies of the project'
                end
                from pg_policies as p
                where p.schemaname = c.relnamespace::regnamespace::text and p.tablename = c.relname
            ), '')
            from pg_class as c
            where position('.' in w.name) > 0 and c.oid = to_regclass(w.name)
        ),
        (
            select coalesce((
                select string_agg(x::text, ',' order by x::text)
                from unnest(coalesce(n.nspacl, acldefault('n', n.nspowner))) as x
            ), '')
            from pg_namespace as n
            where position('.' in w.name) = 0 and n.nspname = w.name
        )
    )
end
from wanted as w
"""

JOBS_COMPARABLE = """
select exists (select from pg_extension where extname = 'pg_cron')
    and to_regclass('autosync.job') is not null
    and to_regprocedure('autosync.sync_job(text)') is not null
    and to_regprocedure('autosync.job_command(text)') is not null
"""

JOBS_CURRENT = """
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

# The statements that take back every grant on these functions but their owner's.
CLOSING = """
select 'revoke all on function ' || p.oid::regprocedure || ' from '
    || case when a.grantee = 0 then 'public' else a.grantee::regrole::text end
from (
    select split_part(path, '/', 3) as name
    from unnest(%(paths)s::text[]) as path
    where starts_with(path, 'sql/functions/')
) as file
join pg_proc as p
    on p.pronamespace = to_regnamespace(split_part(file.name, '.', 1)) and p.proname = split_part(file.name, '.', 2)
cross join lateral aclexplode(p.proacl) as a
where a.grantee <> p.proowner
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
    for path in paths():
        source = _source(path, isolation)
        head = re.search(r"^-- requires: (\d{4})$", source, re.MULTILINE)
        if head is None:
            raise ValueError(f"{path} does not say which revision it requires")
        found.append(ObjectFile(path, head[1], source))
    return found


def paths() -> list[str]:
    """Return the path of every replaceable file in the order in which they are applied."""
    return [f"{folder}/{name}{suffix}" for folder, suffix in _FOLDERS for name in resources.names(folder, suffix)]


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
    return compare(wanted, _recorded(connection), _rendered(connection, wanted))


def compare(
    wanted: Iterable[ObjectFile], recorded: Mapping[str, tuple[str, str]], rendered: Mapping[str, str | None]
) -> dict[str, State]:
    """Return the state of each file's object, by what was recorded of it and how the server renders it now.

    `recorded` holds the hashes of the file's text and of the rendering, `rendered` the hash of the rendering or None.
    """
    found = {}
    for file in wanted:
        source_hash, live_hash = recorded.get(file.path, (None, None))
        if rendered.get(file.path) is None or source_hash is None:
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
        connection.execute(choosing(isolation))
    wanted = available_at(revision, stored_isolation(connection))
    connection.execute("delete from autosync.object where not path = any(%s::text[])", [[file.path for file in wanted]])
    changed = compare(wanted, _recorded(connection), _rendered(connection, wanted))
    applied = [file for file in wanted if changed[file.path] is not State.CURRENT]
    if not applied:
        return []
    # one round trip, as the API may be waiting for our locks; no parameters: the text runs as written, with its % and :
    statements = [f"{statement};" for statement in _closing(connection, applied)] + [file.source for file in applied]
    connection.execute("\n".join(statements).encode())
    rendered = _rendered(connection, wanted)
    connection.execute(
        """
        insert into autosync.object (path, source_hash, live_hash)
        select * from unnest(%s::text[], %s::text[], %s::text[])
        on conflict (path) do update
        set source_hash = excluded.source_hash, live_hash = excluded.live_hash, applied_at = clock_timestamp()
        """,
        [
            [file.path for file in applied],
            [file.source_hash for file in applied],
            [rendered[file.path] for file in applied],
        ],
    )
    return [file.path for file in applied]


def reapplication(
    connection: Connection, revision: str | None, isolation: IsolationSettings | None, paths: Collection[str]
) -> list[sql.Composable]:
    """Return the statements that apply the files at `paths`, current or not, and record it. Reads only.

    They are for one transaction whose search_path is empty. `isolation` as for apply().
    """
    wanted = [file for file in available_at(revision, isolation or stored_isolation(connection)) if file.path in paths]
    if not wanted:
        return []
    statements: list[sql.Composable] = [sql.SQL("set local check_function_bodies = off")]
    if isolation is not None and _has_settings(connection):
        statements.append(choosing(isolation))
    statements += map(_text, _closing(connection, wanted))
    statements += [_text(file.source.strip().removesuffix(";")) for file in wanted]
    record = (
        "insert into autosync.object (path, source_hash, live_hash)"
        " select w.path, w.source_hash, case when w.path like 'sql/jobs/%' then 'current'"
        " else encode(sha256(convert_to(r.text, 'UTF8')), 'hex') end"
        " from unnest({paths}::text[], {hashes}::text[]) as w (path, source_hash) join ({rendered}) as r (path, text)"
        " on r.path = w.path on conflict (path) do update set source_hash = excluded.source_hash,"
        " live_hash = excluded.live_hash, applied_at = clock_timestamp()"
    )
    named = sql.Literal([file.path for file in wanted])
    rendered = _text(RENDERED.replace("%(paths)s", named.as_string(connection)).strip())
    hashes = sql.Literal([file.source_hash for file in wanted])
    statements.append(sql.SQL(record).format(paths=named, hashes=hashes, rendered=rendered))
    return statements


def script(revision: str | None, isolation: IsolationSettings | None) -> str:
    """Return the text that applies every object for `revision`, for a script that is run elsewhere.

    The registry is left without their hashes, so that the next `migrate` compares and records them.
    """
    parts = ["set local check_function_bodies = off;"]
    wanted = available_at(revision, isolation or IsolationSettings())
    if isolation is not None:
        parts.append(
            sql.SQL(
                "insert into autosync.setting (name, value) values ('isolation', {})"
                " on conflict (name) do update set value = excluded.value;"
            )
            .format(sql.Literal(Jsonb(isolation.model_dump())))
            .as_string()
        )
    for file in wanted:
        depends = isolation is None and file.path.endswith(".j2")
        parts.append(f"-- {file.path}\n{_by_stored_mode(file.path) if depends else file.source.strip()}")
    return "\n\n".join(parts) + "\n"


def _by_stored_mode(path: str) -> str:
    """Return the statement that applies a rendered file for whichever mode the database has by then.

    Nobody chose one, so it is the default, or what an adoption found.
    """
    branches = "".join(
        f"        when '{mode}' then execute $mode_{mode}$\n{_source(path, IsolationSettings(mode=mode)).strip()}\n"
        f"$mode_{mode}$;\n"
        for mode in ADOPTED_MODES
    )
    return (  # our own files
        "do $by_mode$\nbegin\n"  # noqa: S608
        "    case coalesce((select s.value ->> 'mode' from autosync.setting as s where s.name = 'isolation'), 'none')\n"
        f"{branches}    end case;\nend\n$by_mode$;"
    )


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
    return resources.render(
        path, isolation=isolation, identifier=_identifier, settable=API_COLUMNS, reserved=OWN_COLUMNS
    )


def _identifier(name: str) -> str:
    return sql.Identifier(*name.split(".")).as_string()


def _has_settings(connection: Connection) -> bool:
    return connection.execute("select to_regclass('autosync.setting') is not null").fetchone() == (True,)


def choosing(isolation: IsolationSettings) -> sql.Composed:
    """Return the statement that keeps a chosen isolation mode as the database's own."""
    return sql.SQL(
        "with decided as (delete from autosync.setting where name = 'isolation_undecided')"
        " insert into autosync.setting as s (name, value) values ('isolation', {}) on conflict (name) do update"
        " set value = excluded.value, updated_at = clock_timestamp() where s.value <> excluded.value"
    ).format(sql.Literal(Jsonb(isolation.model_dump())))


def _text(text: str) -> sql.SQL:
    return sql.SQL(text)


def _closing(connection: Connection, applied: list[ObjectFile]) -> list[str]:
    """Return what takes back the grants on functions, which `create or replace` keeps when somebody added some."""
    rows = connection.execute(CLOSING, {"paths": [file.path for file in applied]}).fetchall()
    return [statement for (statement,) in rows]


def _recorded(connection: Connection) -> dict[str, tuple[str, str]]:
    if connection.execute("select to_regclass('autosync.object')").fetchone() == (None,):
        return {}
    rows = connection.execute("select path, source_hash, live_hash from autosync.object").fetchall()
    return {path: (source_hash, live_hash) for path, source_hash, live_hash in rows}


def _rendered(connection: Connection, wanted: list[ObjectFile]) -> dict[str, str | None]:
    # how names are rendered depends on the search path
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('search_path', '', true)")
        rows = connection.execute(RENDERED, {"paths": [file.path for file in wanted]}).fetchall()
    rendered = {path: text and hashlib.sha256(text.encode()).hexdigest() for path, text in rows}
    for path in rendered:
        if path.startswith("sql/jobs/"):
            rendered[path] = "current" if _jobs_current(connection) else None
    return rendered


def _jobs_current(connection: Connection) -> bool:
    if connection.execute(JOBS_COMPARABLE).fetchone() != (True,):
        return False
    return connection.execute(JOBS_CURRENT).fetchone() == (True,)
