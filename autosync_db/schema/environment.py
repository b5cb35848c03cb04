"""What Alembic's env.py runs: the revisions, then the replaceable objects, in one transaction, or as a printed script.

`autosync-db migrate` hands over its connection; plain `alembic upgrade head` opens the configured database.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.util.exc import CommandError

from autosync_db import config, patience, resources
from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection, connect, exists
from autosync_db.errors import AutosyncError, MigrationError
from autosync_db.schema import isolation, locks, objects, preflight
from autosync_db.schema.revisions import MAKE_WAY, SCHEMA, MigrationResult

# what a downgrade must not drop unasked once it holds rows
DATA_TABLES = (
    "public.pg_cron_secrets",
    "public.auto_sync_schedules",
    "autosync.tick",
    "autosync.invocation",
    "autosync.secret_change",
    "autosync.alert_receiver",
)
# PostgREST answers PGRST202 for a function that came after it had read the schema; without PostgREST nobody listens
_RELOAD = "notify pgrst, 'reload schema'"
# under which Alembic's configuration has the request
REQUEST = "autosync_db"

# more work in the transaction of a migration, before its first revision or after its last
Around = Callable[[Connection], None]


class TrialOver(Exception):  # noqa: N818 - no failure
    """All was done, and is to be taken back: it was a trial."""


@dataclass(frozen=True, slots=True)
class Request:
    """What a migration is asked for besides its revision. Without a connection the configured database is opened."""

    connection: Connection | None = None
    isolation: IsolationSettings | None = None  # None keeps the mode that the database was last given
    applies_objects: bool = False  # also where no revision is run
    drops_rows: bool = False
    is_trial: bool = False
    begins: Around | None = None
    ends: Around | None = None
    on_wait: Callable[[str], None] | None = None  # gets a message that names who is waited for
    only_revisions: bool = False  # of a script: nothing but the statements of the revisions
    result: MigrationResult = field(default_factory=MigrationResult)


def run_revisions(context: EnvironmentContext) -> None:
    """Run Alembic's command over the connection that was handed over, or over the configured database.

    Raises LockedError or MigrationError, for a connection opened here Alembic's CommandError; then nothing is changed.
    """
    request = _request(context)
    if request.connection is not None:
        _run_on(context, request.connection, request)
        return
    try:
        configuration = config.load()
        request = replace(request, isolation=configuration.isolation)
        with connect(configuration.target.database_url, patience=patience.MIGRATION_SECONDS) as opened:
            _run_on(context, opened, request)
    except AutosyncError as error:
        raise CommandError(f"{error.message} (hint: {error.hint})") from None


def write_script(context: EnvironmentContext) -> None:
    """Write the offline script: the revisions, then every replaceable object that they allow."""
    request = _request(context)
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},  # with psycopg's own style every % would be doubled
        version_table_schema=SCHEMA,
    )
    migration: MigrationContext = context.get_context()
    if request.only_revisions:
        context.run_migrations()
        return
    with context.begin_transaction():
        migration.impl.static_output(locks.limits().strip())
        migration.impl.static_output(locks.one_at_a_time())
        migration.impl.static_output(f"create schema if not exists {SCHEMA};")
        migration.impl.static_output(isolation.announcement(request.isolation))
        migration.impl.static_output(locks.await_tables().strip())
        context.run_migrations()
        if request.isolation is not None:
            migration.impl.static_output(f"{isolation.choice(request.isolation).as_string()};")
        migration.impl.static_output(objects.script(_target(context)))
        migration.impl.static_output(f"{_RELOAD};")


def _request(context: EnvironmentContext) -> Request:
    found = context.config.attributes.get(REQUEST)
    return found if isinstance(found, Request) else Request()


def _run_on(context: EnvironmentContext, psycopg_connection: Connection, request: Request) -> None:
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://",
        creator=lambda: psycopg_connection,
        poolclass=sqlalchemy.StaticPool,
        use_native_hstore=False,  # would be one more query
    )

    def applied(ctx: Any, step: MigrationInfo, heads: Any, run_args: Any) -> None:
        request.result.revisions.append(str(step.up_revision_id))

    with locks.explained(psycopg_connection), _connected(engine, psycopg_connection) as connection:
        context.configure(
            connection=connection,
            version_table_schema=SCHEMA,
            on_version_apply=applied,
            transaction_per_migration=False,
        )
        with context.begin_transaction():
            if context.get_context().opts.get("dont_mutate"):
                context.run_migrations()
                return
            # SQLAlchemy's begin() has no effect on an autocommit connection; its commit() ends this transaction
            locks.begin_alone(psycopg_connection, request.on_wait)
            _migrate(context, psycopg_connection, request)


def _migrate(context: EnvironmentContext, connection: Connection, request: Request) -> None:
    """Do what is asked for in the transaction that has begun, and note it in the request's result.

    Raises TrialOver at the end of a trial, MigrationError for what is refused.
    """
    migration, result = context.get_context(), request.result
    result.before = migration.get_current_revision()
    if connection.execute(f"select to_regnamespace('{SCHEMA}')").fetchone() == (None,):
        connection.execute(f"create schema {SCHEMA}")
    preflight.require_schema(connection)
    connection.execute(isolation.announcement(request.isolation).encode())
    filled = _filled_tables(connection)
    is_moving = _lock(connection, result.before, _target(context))
    if request.begins is not None:
        request.begins(connection)
    if result.before is None and is_moving:
        connection.execute(resources.read(MAKE_WAY).encode())
    context.run_migrations()
    result.after = migration.get_current_revision()
    result.emptied = [table for table in filled if not exists(connection, table)]
    if result.emptied and not request.drops_rows:
        raise MigrationError(
            f"this would delete the rows of {' and '.join(result.emptied)}; nothing was changed",
            hint="save what you need, then pass --yes",
        )
    if result.revisions or request.applies_objects:
        if request.isolation is not None and result.after is not None:
            isolation.choose(connection, request.isolation)
        result.objects = objects.apply(connection, result.after)
    if request.ends is not None:
        request.ends(connection)
    if result.revisions or result.objects:
        connection.execute(_RELOAD)
    if request.is_trial:
        raise TrialOver


def _lock(connection: Connection, before: str | None, target: str | None) -> bool:
    """Wait for the tables that a move to `target` changes, take all of them for a way back; return whether it moves."""
    is_moving = before != target
    connection.execute((locks.await_tables() if is_moving else locks.short()).encode())
    if before is not None and (target is None or target < before):
        connection.execute(locks.claim_tables().encode())
    return is_moving


def _connected(engine: sqlalchemy.Engine, psycopg_connection: Connection) -> sqlalchemy.Connection:
    """Return SQLAlchemy's connection over psycopg's, which is in no transaction before and after."""
    # what SQLAlchemy asks of a new connection is asked without the role's limits, too; it ends that with a rollback
    psycopg_connection.execute(locks.begin().encode())
    return engine.connect()


def _target(context: EnvironmentContext) -> str | None:
    """Return the revision that was asked for, None for `base` and whatever Alembic has to look up."""
    destination = context.get_revision_argument()
    return destination if isinstance(destination, str) else None


def _filled_tables(connection: Connection) -> list[str]:
    return [
        table
        for table in DATA_TABLES
        if exists(connection, table)
        and connection.execute(f"select exists (select from {table})").fetchone() == (True,)  # noqa: S608 - constants
    ]
