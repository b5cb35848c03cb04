"""Take away everything that was made here, and give back what was there before.

The dropping is that of a rollback to before the first revision; what that leaves (the secrets in the vault, the record
of the revision, the schema, extensions that were made here) goes in the same transaction. Killed at any point, nothing
has changed.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

from psycopg import errors, sql

from autosync_db import resources
from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, exists, rows
from autosync_db.credentials import journal, lease, vault
from autosync_db.errors import AutosyncError, MigrationError
from autosync_db.jobs import found
from autosync_db.schema import declarative, export, migrate, revisions
from autosync_db.setup import belongings, extensions
from autosync_db.setup.belongings import IN_VAULT, MADE_AT, SCHEDULES, SECRETS, Belongings, Item

_COMMENTS = {
    SCHEDULES: "scheduled syncs, kept by autosync-db teardown --keep-data: nothing runs them",
    SECRETS: "what cron jobs read that autosync-db gave back; kept by autosync-db teardown",
}
_RECORD = sql.SQL(
    "create table if not exists autosync.alembic_version"
    " (version_num varchar(32) not null constraint alembic_version_pkc primary key);"
    " insert into autosync.alembic_version (version_num) values ({})"
)
_LEFTOVERS = """
select cron.unschedule(c.jobid)
from cron.job as c
where c.username = current_user
    and (c.command like 'select autosync.dispatch(%' or c.command like 'select autosync.keep_house(%')
"""
# ours are known by their description; what stays for a job is the project's from now on
_EMPTY_VAULT = "delete from vault.secrets as v where v.description like 'autosync-db%%' and v.name = any(%s)"
_HAND_OVER = """
select vault.update_secret(v.id, new_description := 'read by cron jobs of this project; left by autosync-db teardown')
from vault.secrets as v
where v.description like 'autosync-db%'
"""


@dataclass(slots=True)
class Done:
    """What a teardown has done, or would do; `warnings` are the server's."""

    removed: list[Item]
    given_back: list[Item]
    stays: list[Item]
    refused: list[Item]
    warnings: list[str] = field(default_factory=list)

    @property
    def is_nothing(self) -> bool:
        """Whether there was nothing to do."""
        return not self.removed and not self.given_back


def foresee(configuration: Configuration, *, keep_data: bool = False, drop_extensions: bool = False) -> Done:
    """Return what run() would do, and what stands in its way. Changes nothing.

    Raises ConflictError while a rotation is under way, or a rotate --auto unfinished.
    """
    with connect(configuration.target.database_url) as connection:
        _require_no_rotation(connection)
        return _done(_look(connection, keep_data, drop_extensions), files(configuration))


def run(
    configuration: Configuration,
    agreed: Done,
    *,
    keep_data: bool = False,
    drop_extensions: bool = False,
    on_retry: Callable[[str], None] | None = None,
) -> Done:
    """Do it, in one transaction, and return what was done.

    Raises MigrationError, with nothing changed, when something of somebody else's needs what would go, or when more
    would go by now than was `agreed`; ConflictError while a rotation is under way, or a rotate --auto unfinished.
    """
    seen: list[Belongings] = []
    left: list[Item] = []

    def begins(connection: Connection) -> None:
        there = _look(connection, keep_data, drop_extensions)
        seen[:] = [there]
        _require_no_rotation(connection)
        require_free(there.refusals)
        if more := {item.key for item in there.removes} - {item.key for item in agreed.removed}:
            kind, name = sorted(more)[0]
            raise MigrationError(
                f"the {kind} {name} was added in the meantime; nothing was changed",
                hint="look again: autosync-db teardown",
            )
        if belongings.is_unrecorded(connection):
            connection.execute(_RECORD.format(sql.Literal(revisions.head())))
        if revisions.is_declared(connection):
            connection.execute(resources.read(revisions.MAKE_WAY).encode())
        else:
            _keep(connection, there)

    def ends(connection: Connection) -> None:
        left[:] = _finish(connection, seen[0])

    result = migrate.remove(configuration.target.database_url, begins=begins, ends=ends, on_retry=on_retry)
    done = _done(seen[0], files(configuration))
    # what is left in the schema is known for certain only now
    known = {item.key for item in done.stays}
    done.stays += [item for item in left if item.key not in known]
    done.warnings = list(dict.fromkeys(result.warnings))
    return done


def require_free(refusals: Collection[Item]) -> None:
    """Return if nothing of somebody else's stands in the way. Raises MigrationError that names it."""
    if refusals:
        raise MigrationError(
            "; ".join(f"{item.name if item.kind == 'dependent' else f'the {item.kind} {item.name}'}: {item.detail}"
                      for item in refusals) + "; nothing was changed",
            hint="change or drop these first: they are not ours to drop",
        )  # fmt: skip


def files(configuration: Configuration) -> list[Item]:
    """Return the files of earlier exports, which stay, with what to do about them."""
    places = [configuration.source.parent] if configuration.source else []
    said: dict[Path, Item] = {}
    for place in dict.fromkeys([*places, Path.cwd()]):
        for path, detail in _exported(place / "supabase"):
            said.setdefault(path, Item("file", str(path), detail))
    return list(said.values())


def _exported(folder: Path) -> list[tuple[Path, str]]:
    try:
        migrations = [file.path for file in export.exported(folder / "migrations")]
    except AutosyncError:
        migrations = []
    said = []
    if migrations:
        versions = " ".join(path.name.partition("_")[0] for path in migrations)
        said.append(
            (
                folder / "migrations",
                f"{len(migrations)} exported migrations, noted as applied where `supabase db push` ran: to take them"
                f" out, delete them and run: supabase migration repair --status reverted {versions}",
            )
        )
    if schemas := declarative.exported(folder / "schemas"):
        said.append(
            (
                folder / "schemas",
                f"{len(schemas)} exported schema files: delete them, else the next `supabase db push` makes all again",
            )
        )
    return said


def _look(connection: Connection, keep_data: bool, drop_extensions: bool) -> Belongings:
    return belongings.look(connection, keep_data=keep_data, drop_extensions=drop_extensions)


def _require_no_rotation(connection: Connection) -> None:
    # the platform has a key that only the journal knows of
    journal.require_none(connection)
    # it would find nothing to finish or to put back
    lease.require_idle(connection)


def _done(there: Belongings, exported: list[Item]) -> Done:
    return Done(there.removes, there.gives_back, [*there.stays, *exported], there.refusals)


def _keep(connection: Connection, there: Belongings) -> None:
    """Let the way back find what is kept as if it had been there before us."""
    names = list(there.read_secrets)
    if SECRETS in there.kept_tables:
        connection.execute("delete from public.pg_cron_secrets as s where s.name <> all(%s)", [names])
    for revision in there.gone:
        connection.execute("delete from autosync.adopted as a where a.revision = %s", [revision])
    for table in there.kept_tables:
        undo = sql.SQL("comment on table {} is {}").format(
            sql.Identifier(*table.split(".")), sql.Literal(_COMMENTS[table])
        )
        connection.execute(
            "insert into autosync.adopted (revision, step, object, undo) values (%s, 10, %s, %s)",
            [MADE_AT[table], table, undo.as_string()],
        )


def _finish(connection: Connection, there: Belongings) -> list[Item]:
    """Drop what the revisions leave; return what is left in the schema."""
    if exists(connection, "cron.job"):
        rows(connection, _LEFTOVERS.encode())
    in_vault = [item.name for item in there.removes if item.kind == "secret" and item.detail == IN_VAULT]
    if in_vault:
        connection.execute(_EMPTY_VAULT, [in_vault])
    if there.read_secrets and exists(connection, "vault.secrets") and vault.role_of_another(connection) is None:
        rows(connection, _HAND_OVER.encode())
    connection.execute("drop table if exists autosync.alembic_version")
    left = []
    try:
        with connection.transaction():
            connection.execute("drop schema if exists autosync")
    except errors.DependentObjectsStillExist:
        left = belongings.left_in_schema(connection)
    for extension in there.extensions:
        others = found.jobs(connection) if exists(connection, "cron.job") else []
        if users := extensions.needs(connection, extension, others):
            raise MigrationError(
                f"the extension {extension} is used by {', '.join(users)}; nothing was changed",
                hint="run it again without --drop-extensions",
            )
        connection.execute(sql.SQL("drop extension {}").format(sql.Identifier(extension)))
    return left
