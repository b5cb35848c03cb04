"""What a teardown would take away, give back and leave, and what of somebody else's stands in its way. Reads only."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from autosync_db import resources
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.credentials import vault
from autosync_db.jobs import found, references
from autosync_db.jobs.found import FoundJob
from autosync_db.plain import counted
from autosync_db.schema import adoption, objects, revisions
from autosync_db.setup import extensions

SECRETS, SCHEDULES = "public.pg_cron_secrets", "public.auto_sync_schedules"
IN_VAULT = "in the vault"
# the revision that makes, or completes, each table
MADE_AT = {SECRETS: "0002", SCHEDULES: "0003"}
_OUR_COMMAND = re.compile(r"select autosync\.(dispatch|keep_house)\(")
_NAMES_OURS = re.compile(r"\bautosync\"?\s*\.|\bauto_sync_(?:claim|complete|report)\b")
_JOB = "cron job "
_REGISTERED = "select j.name, j.watch, j.scheduled_command is not null from autosync.job as j order by j.id"
_ADOPTED = """
select a.revision, a.object
from autosync.adopted as a
where a.step >= 50 and a.undo !~* '^\\s*(drop|do|revoke|alter table \\S+ drop)\\M'
order by a.step, a.id
"""
_VAULT = "select v.name from vault.secrets as v where v.description like 'autosync-db%' order by v.name"
_MAY_EMPTY_VAULT = """
select has_schema_privilege('vault', 'usage') and has_table_privilege('vault.secrets', 'select')
    and has_table_privilege('vault.secrets', 'delete')
"""
_OWN_COLUMNS = """
select a.attname from pg_catalog.pg_attribute as a
where a.attrelid = to_regclass(%s) and a.attnum > 0 and not a.attisdropped order by a.attnum
"""
_OWN_TRIGGERS = """
select t.tgname from pg_catalog.pg_trigger as t
join pg_catalog.pg_proc as p on p.oid = t.tgfoid
where t.tgrelid = to_regclass(%s) and not t.tgisinternal
    and p.pronamespace is distinct from to_regnamespace('autosync') order by 1
"""


@dataclass(frozen=True, slots=True, order=True)
class Item:
    """One thing: what kind it is, its name, and what else is to be said of it."""

    kind: str
    name: str
    detail: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Return what it is known by; the rest may change from minute to minute."""
        return self.kind, self.name


@dataclass(slots=True)
class Belongings:
    """What is there, sorted by what becomes of it; and what the teardown has to know of it."""

    removes: list[Item] = field(default_factory=list)
    gives_back: list[Item] = field(default_factory=list)
    stays: list[Item] = field(default_factory=list)
    refusals: list[Item] = field(default_factory=list)
    # tables of ours that are kept, names of secrets that jobs read which are given back, extensions to drop
    kept_tables: frozenset[str] = frozenset()
    read_secrets: dict[str, str] = field(default_factory=dict)
    extensions: tuple[str, ...] = ()
    # adopted and dropped by somebody since: nothing to give back
    gone: tuple[str, ...] = ()

    @property
    def is_nothing(self) -> bool:
        """Whether nothing of ours is there."""
        return not self.removes and not self.gives_back


def look(connection: Connection, *, keep_data: bool = False, drop_extensions: bool = False) -> Belongings:
    """Return what a teardown would do. Raises MigrationError for a database of a newer version."""
    with connection.transaction(force_rollback=True):
        connection.execute("select set_config('search_path', '', true)")
        return _Look(connection, keep_data=keep_data, drop_extensions=drop_extensions).result()


def is_unrecorded(connection: Connection) -> bool:
    """Return whether everything is there but the record of the revision: all downgrades pass over what is missing."""
    if revisions.current(connection) is not None or not exists(connection, "autosync.adopted", "autosync.object"):
        return False
    return bool(value(connection, "select exists (select from autosync.object)"))


def left_in_schema(connection: Connection) -> list[Item]:
    """Return what is in the schema autosync, whoever made it."""
    return [
        Item(kind, shown, "not made by autosync-db; the schema autosync stays with it")
        for schema, kind, _, shown in _contents(connection)
        if schema == revisions.SCHEMA
    ]


def _given_back(lacks_secret: bool | None) -> str:
    """Return how a job comes back that is inactive then, and lacks a secret or not; None for one that is active."""
    if lacks_secret:
        return "inactive, with *** in place of its secret: put that back into its text"
    return "with the text, schedule and name that it had" + ("" if lacks_secret is None else ", inactive as kept")


class _Look:
    def __init__(self, connection: Connection, *, keep_data: bool, drop_extensions: bool) -> None:
        self._connection = connection
        self._keep_data, self._drop_extensions = keep_data, drop_extensions
        self._made = Belongings()
        self._revision = revisions.head() if is_unrecorded(connection) else revisions.current(connection)
        self._is_declared = self._revision is None and revisions.is_declared(connection)
        self._role = str(value(connection, "select current_user"))
        self._has_memory = exists(connection, "autosync.adopted")
        self._adopted: list[tuple[str, str]] = rows(connection, _ADOPTED.encode()) if self._has_memory else []
        self._adopted_revisions = (
            {revision for (revision,) in rows(connection, "select distinct a.revision from autosync.adopted as a")}
            if self._has_memory
            else set()
        )
        self._others: list[FoundJob] = []

    def result(self) -> Belongings:
        """Return what was found."""
        self._jobs()
        self._tables()
        self._objects()
        self._vault_secrets()
        self._dependents()
        self._extensions()
        return self._made

    def _jobs(self) -> None:
        made = self._made
        registered: dict[str, tuple[bool, bool]] = {}
        if exists(self._connection, "autosync.job"):
            registered = {name: (watch, scheduled) for name, watch, scheduled in rows(self._connection, _REGISTERED)}
        inactive = references.inactive(self._connection)
        given_back = {object.removeprefix(_JOB) for _, object in self._adopted if object.startswith(_JOB)}
        jobs = found.jobs(self._connection)
        made.read_secrets = references.to_be_read(self._connection)
        for job in jobs:
            # one that was given back before
            made.read_secrets |= dict.fromkeys(references.names_in(job.command), extensions.called(job))
        if given_back and not exists(self._connection, "cron.job"):
            made.refusals += [
                Item("job", name, "it is to be given back, and pg_cron is not installed") for name in given_back
            ]
        for job in jobs:
            watched, scheduled = registered.get(job.name or "", (True, False))
            is_ours = bool(_OUR_COMMAND.match(job.command)) or (not watched and scheduled)
            if is_ours and job.role != self._role:
                made.refusals.append(
                    Item("job", extensions.called(job), f"it belongs to the role {job.role}: connect as that one")
                )
            elif is_ours and job.name in given_back:
                made.gives_back.append(Item("job", extensions.called(job), _given_back(inactive.get(job.name))))
            elif is_ours:
                made.removes.append(Item("job", extensions.called(job), job.schedule))
            else:
                self._others.append(job)
                self._other_job(job, watched=job.name in registered and watched)

    def _other_job(self, job: FoundJob, *, watched: bool) -> None:
        going = [table for table in MADE_AT if self._goes(table)]
        # what such a text reads stays with the table
        text = job.command if SECRETS in going else references.without(job.command)
        named = [table for table in going if re.search(rf"\b{table.partition('.')[2]}\b", text)]
        if _NAMES_OURS.search(text) and self._revision is not None:
            named.append("the schema autosync or its functions")
        if named:
            detail = f"its statement names {' and '.join(named)}, and would fail at every tick"
            self._made.refusals.append(Item("job", extensions.called(job), detail))
        else:
            detail = "only watched" if watched else "not made by autosync-db"
            self._made.stays.append(Item("job", extensions.called(job), detail))

    def _is_ours(self, table: str) -> bool:
        made_at = MADE_AT[table]
        is_made = self._revision is not None and self._revision >= made_at
        return is_made and made_at not in self._adopted_revisions and exists(self._connection, table)

    def _goes(self, table: str) -> bool:
        if not self._is_ours(table):
            return False
        if table == SCHEDULES:
            return not self._keep_data
        return not (self._made.read_secrets and self._store() == "table")

    def _store(self) -> str:
        is_known = exists(self._connection, "autosync.secret_store()", "autosync.setting")
        return str(value(self._connection, "select autosync.secret_store()")) if is_known else "table"

    def _tables(self) -> None:
        made, kept, gone = self._made, set(), []
        for table, revision in MADE_AT.items():
            if self._revision is None or self._revision < revision:
                if exists(self._connection, table):
                    made.stays.append(Item("table", table, self._of_nobody()))
                continue
            if not exists(self._connection, table):
                if revision in self._adopted_revisions:
                    gone.append(revision)
                continue
            if not self._has_memory:
                detail = "autosync.adopted is gone, so it is unknown whether it was there before"
                made.refusals.append(Item("table", table, detail))
            elif not self._is_ours(table):
                back = [object for at, object in self._adopted if at == revision and not object.startswith(_JOB)]
                detail = ", ".join(one for one in dict.fromkeys(back) if one != table) or "as it was"
                made.gives_back.append(Item("table", table, f"with its rows; {detail}"))
            elif self._goes(table):
                made.removes.append(Item("table", table, self._content(table)))
            else:
                kept.add(table)
                made.stays.append(Item("table", table, self._why_kept(table)))
            if table == SECRETS and self._has_memory and self._is_ours(table):
                self._table_secrets()
        made.kept_tables, made.gone = frozenset(kept), tuple(gone)

    def _of_nobody(self) -> str:
        if self._is_declared:
            return "schema files made it or completed it: it goes with them, or by you"
        return "no revision is recorded for it, so it is not known to be ours"

    def _content(self, table: str) -> str:
        """Return what goes with a table of ours: its rows, and what somebody else has added to it."""
        with self._connection.transaction(force_rollback=True):
            known = {one["name"] for one in adoption.prepare(self._connection, [])[table]["columns"]}
        said = [f"with {counted(self._count(table), 'row')}" if table == SCHEDULES else "with the secrets listed here"]
        added = [f"column {name}" for (name,) in rows(self._connection, _OWN_COLUMNS, [table]) if name not in known]
        added += [f"trigger {name}" for (name,) in rows(self._connection, _OWN_TRIGGERS, [table])]
        if added:
            said.append(f"and what was added to it: {', '.join(added)}")
        return " ".join(said)

    def _why_kept(self, table: str) -> str:
        if table == SCHEDULES:
            return f"--keep-data, with {counted(self._count(table), 'row')}, its policies and its grants"
        jobs = sorted(set(self._made.read_secrets.values()))
        return f"the cron job {', '.join(jobs)} reads it; it keeps {', '.join(sorted(self._made.read_secrets))}"

    def _count(self, table: str) -> int:
        return int(value(self._connection, f"select count(*) from {table}"))  # noqa: S608 - a constant

    def _table_secrets(self) -> None:
        kept = self._made.read_secrets if self._store() == "table" else {}
        for (name,) in rows(self._connection, "select s.name from public.pg_cron_secrets as s order by 1"):
            if name in kept:
                self._made.stays.append(Item("secret", name, f"the cron job {kept[name]} reads it"))
            else:
                self._made.removes.append(Item("secret", name, "in public.pg_cron_secrets"))

    def _vault_secrets(self) -> None:
        made = self._made
        if self._revision is None or not exists(self._connection, "vault.secrets"):
            return
        if vault.role_of_another(self._connection) is not None:
            return
        if not value(self._connection, _MAY_EMPTY_VAULT):
            made.stays.append(Item("secret", "ours in the vault", "this role may not delete there: see vault.secrets"))
            return
        kept = made.read_secrets if self._store() == "vault" else {}
        for (name,) in rows(self._connection, _VAULT.encode()):
            short = str(name).removeprefix("autosync.")
            if short in kept:
                made.stays.append(Item("secret", name, f"in the vault: the cron job {kept[short]} reads it"))
            else:
                made.removes.append(Item("secret", name, IN_VAULT))

    def _objects(self) -> None:
        made, known = self._made, _known()
        contents = _contents(self._connection)
        if self._revision is None and not self._is_declared:
            # what an earlier way back has left, or what is somebody's own
            names = [name for schema, _, name, _ in contents if schema == revisions.SCHEMA]
            if value(self._connection, "select to_regnamespace('autosync')") is None:
                return
            if all(name == "alembic_version" for name in names):
                made.removes.append(Item("schema", revisions.SCHEMA, "empty but for the record of the revision"))
            else:
                made.stays += left_in_schema(self._connection)
            return
        ours = [(kind, shown) for schema, kind, name, shown in contents if f"{schema}.{name}" in known]
        tables = sum(kind == "table" for kind, _ in ours)
        functions = [shown for kind, shown in ours if kind == "function"]
        in_public = [shown for shown in functions if shown.startswith("public.")]
        made.removes += [Item("function", shown) for shown in in_public]
        made.removes.append(
            Item(
                "schema",
                revisions.SCHEMA,
                f"with {tables} tables and {len(functions) - len(in_public)} functions{self._history()}",
            )
        )
        made.stays += [
            Item(kind, shown, "not made by autosync-db; the schema autosync stays with it")
            for schema, kind, name, shown in contents
            if schema == revisions.SCHEMA and f"{schema}.{name}" not in known
        ]

    def _history(self) -> str:
        if not exists(self._connection, "autosync.tick", "autosync.invocation"):
            return ""
        ticks, calls = self._count("autosync.tick"), self._count("autosync.invocation")
        return f", and the history: {counted(ticks, 'tick')}, {counted(calls, 'call')}" if ticks or calls else ""

    def _dependents(self) -> None:
        if self._revision is None and not self._is_declared:
            return
        goes = {table for table in MADE_AT if self._goes(table)}
        with self._connection.transaction(force_rollback=True):
            tables = adoption.prepare(self._connection, [])
        added = {
            table: {column["name"] for column in tables[table]["columns"] if not column["required"]}
            & {object.removeprefix("column ") for object in self._columns_that_go(MADE_AT[table])}
            for table in MADE_AT
        }
        for dependent, needed, column in rows(self._connection, _text("dependents").encode()):
            if needed in MADE_AT and needed not in goes and column not in added[needed]:
                continue
            place = f"column {column} of {needed}" if column and needed not in goes else needed
            self._made.refusals.append(Item("dependent", dependent, f"needs {place}"))
        unique = {item.key: item for item in self._made.refusals}
        self._made.refusals = list(unique.values())

    def _columns_that_go(self, revision: str) -> list[str]:
        if not self._has_memory:
            return []
        query = "select a.object from autosync.adopted as a where a.revision = %s and a.step = 20"
        return [object for (object,) in rows(self._connection, query, [revision])]

    def _extensions(self) -> None:
        made = self._made
        here = extensions.made_here(self._connection)
        dropped = []
        if made.is_nothing:
            return
        for extension in extensions.WANTED:
            if not value(self._connection, "select true from pg_extension where extname = %s", [extension]):
                continue
            users = extensions.needs(self._connection, extension, self._others) if extension in here else []
            users += [f"the cron job {item.name}" for item in made.gives_back if item.kind == "job"]
            if extension not in here:
                made.stays.append(Item("extension", extension, "it was there before, or was not made here"))
            elif users:
                made.stays.append(Item("extension", extension, f"used by {', '.join(dict.fromkeys(users))}"))
            elif not self._drop_extensions:
                made.stays.append(Item("extension", extension, "nothing else uses it; --drop-extensions drops it"))
            else:
                dropped.append(extension)
                what = "with the history of all runs" if extension == "pg_cron" else "with the answers that it keeps"
                made.removes.append(Item("extension", extension, what))
        made.extensions = tuple(dropped)


def _contents(connection: Connection) -> list[tuple[Any, ...]]:
    return rows(connection, _text("contents").encode())


def _text(name: str) -> str:
    return resources.read(f"sql/teardown/{name}.sql")


@cache
def _known() -> frozenset[str]:
    """Return the tables and functions that a revision or a file of sql/ makes, or that a revision drops."""
    return frozenset(_named())


def _named() -> Iterator[str]:
    yield f"{revisions.SCHEMA}.alembic_version"
    for path in objects.paths():
        if path.startswith("sql/functions/"):
            yield path.rpartition("/")[2].removesuffix(".sql")
    for name in resources.names("alembic/versions", ".py"):
        text = resources.read(f"alembic/versions/{name}.py")
        yield from re.findall(r"\bcreate (?:unlogged )?table (?:if not exists )?(autosync\.\w+)", text)
        yield from re.findall(r"\"((?:autosync|public)\.\w+)\(", text)
