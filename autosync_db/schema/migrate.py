"""Bring a database to a revision: Alembic's revisions, then the replaceable objects, in one transaction.

One transaction and one advisory lock: a migration that is killed leaves the database as it was, and of any number
that run at once one works and the others find nothing to do. Alembic's env.py runs the same code.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from typing import Any, cast

import psycopg
import sqlalchemy
import tenacity
from alembic import command
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext, MigrationInfo
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError
from psycopg import sql

from autosync_db import config, duration, resources
from autosync_db.config import IsolationSettings
from autosync_db.connection import Connection, connect
from autosync_db.errors import AutosyncError, MigrationError
from autosync_db.schema import inventory, objects, preflight, revisions
from autosync_db.schema.inventory import Change
from autosync_db.schema.revisions import SCHEMA
from autosync_db.secret import Secret

LOCK_TIMEOUT = "3s"
LOCK_ATTEMPTS = 6
# while tables are locked already: a migration waits in three places at most, so for no longer in all
HELD_LOCK_TIMEOUT = "1s"
# a client that was stopped, or whose line is dead, must not keep the tables locked
IDLE_TIMEOUT = "60s"
# the tables of the API that a migration locks
API_TABLES = ("public.pg_cron_secrets", "public.auto_sync_schedules")
# what a downgrade must not drop unasked once it holds rows
DATA_TABLES = (
    "public.pg_cron_secrets",
    "public.auto_sync_schedules",
    "autosync.tick",
    "autosync.invocation",
    "autosync.secret_change",
)
ADVISORY_LOCK = revisions.ADVISORY_LOCK

# Who waits behind a lock that is waited for waits as long. So each table is waited for while nothing is locked, and let
# go again: a long transaction is met here, and not in the middle, with one table locked or a million rows mended.
_AWAIT = f"""
do $await$
declare
    wanted regclass;
begin
    for wanted in
        select c.oid
        from unnest(array[{", ".join(f"'{table}'" for table in API_TABLES)}]) as w (name)
        join pg_catalog.pg_class as c on c.oid = to_regclass(w.name)
        where c.relkind = 'r' and has_table_privilege(c.oid, 'update')
    loop
        begin
            execute format('lock table %s in access exclusive mode', wanted);
            raise sqlstate 'AS000';
        exception
            when sqlstate 'AS000' then null;
        end;
    end loop;
end
$await$;
"""  # noqa: S608 - constants

# The longest transaction that has a lock on what a migration changes; those of strangers show only to pg_monitor.
_HOLDER = f"""
select format('%I.%I', c.relnamespace::regnamespace, c.relname), l.pid, coalesce(a.usename, a.backend_type, 'unknown'),
    coalesce(nullif(a.application_name, ''), 'unknown'), clock_timestamp() - a.xact_start
from pg_locks as l
left join pg_stat_activity as a on a.pid = l.pid
join pg_class as c on c.oid = l.relation and c.relkind = 'r'
where l.granted and l.pid is distinct from pg_backend_pid()
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and (
        c.relnamespace in (to_regnamespace('{SCHEMA}'), to_regnamespace('cron'))
        or c.oid = any(array[{", ".join(f"to_regclass('{table}')" for table in API_TABLES)}])
    )
order by a.xact_start, c.relnamespace <> 'public'::regnamespace, l.pid
limit 1
"""  # noqa: S608 - constants


class LockedError(MigrationError):
    """Another session has a lock that the migration needs; the message says which."""


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its id and what it does."""

    id: str
    summary: str


@dataclass(frozen=True, slots=True)
class Step:
    """One revision as the statements of its upgrade; the version table's own are not among them."""

    revision: str
    previous: str | None
    summary: str
    statements: list[str]


@dataclass(frozen=True, slots=True)
class Plan:
    """What a migration would do; nothing has been changed to find out."""

    current: str | None
    target: str | None
    upgrades: list[Revision]
    objects: dict[str, objects.State]
    # what is there already and what would become of it
    adoption: list[Change] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to do."""
        return not self.upgrades and not self.objects

    @property
    def refusals(self) -> list[Change]:
        """Return what stands in the way of the migration."""
        return [change for change in self.adoption if change.action == "refuse"]


@dataclass(slots=True)
class Outcome:
    """What a migration did."""

    before: str | None = None
    after: str | None = None
    revisions: list[str] = field(default_factory=list)
    objects: list[str] = field(default_factory=list)
    # what the server wants somebody to know, e.g. of rows that an adoption mended
    warnings: list[str] = field(default_factory=list)


def plan(database_url: Secret | None, revision: str = "head", isolation: IsolationSettings | None = None) -> Plan:
    """Return what `upgrade` would do to this database. Reads only."""
    with connect(database_url) as connection, _unhurried(connection):
        preflight.check(connection)
        current = revisions.current(connection)
        with _script_directory() as script:
            target = _resolve(script, revision)
            pending = [
                step for step in reversed(list(script.iterate_revisions(target, current))) if step.revision != current
            ]
            upgrades = [Revision(step.revision, step.doc or "") for step in pending]
            adopted = inventory.changes(connection, {step.revision: step.module for step in pending}, isolation)
        states = objects.states(connection, max(target or "", current or "") or None, isolation)
    changed: dict[str, objects.State] = {
        path: state for path, state in states.items() if state is not objects.State.CURRENT
    }
    return Plan(current, target, upgrades, changed, adopted)


def upgrade(
    database_url: Secret | None,
    revision: str = "head",
    *,
    isolation: IsolationSettings | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> Outcome:
    """Bring the database to `revision`, in one transaction; an up-to-date database is left untouched.

    `isolation` None keeps the mode that the database was last given.
    `on_retry` is told whose lock made an attempt fail. Raises LockedError after the last one, and MigrationError
    when it is refused or fails; then nothing has changed.
    """
    attributes = {"isolation": isolation, "apply_objects": True, "drop_rows": True}
    return _migrate(database_url, revision, command.upgrade, on_retry, attributes)


def downgrade(
    database_url: Secret | None,
    revision: str,
    *,
    drop_rows: bool = False,
    on_retry: Callable[[str], None] | None = None,
) -> Outcome:
    """Take the database back to `revision` (`base` for none), in one transaction.

    Raises MigrationError when that would drop a table that holds rows, unless `drop_rows`; nothing is changed then.
    """
    return _migrate(database_url, revision, command.downgrade, on_retry, {"drop_rows": drop_rows})


def script_sql(revision: str = "head", isolation: IsolationSettings | None = None) -> str:
    """Return the SQL script that `upgrade` of an empty database would run. Connects to nothing."""
    buffer = StringIO()
    with _alembic_config() as configuration, redirect_stdout(buffer):
        configuration.output_buffer = buffer
        configuration.attributes["isolation"] = isolation
        _run_alembic(command.upgrade, configuration, revision, sql=True)
    return buffer.getvalue()


def steps() -> list[Step]:
    """Return every revision, oldest first, as statements that can be run elsewhere. Connects to nothing."""
    written = _Statements()
    with _alembic_config() as configuration, redirect_stdout(StringIO()):
        configuration.output_buffer = written
        configuration.attributes["only_revisions"] = True
        _run_alembic(command.upgrade, configuration, "head", sql=True)
    texts: dict[str, list[str]] = {}
    for text in written.texts:
        if started := re.match(r"-- Running upgrade .*-> (\w+)", text):
            texts[started[1]] = []
        elif not re.match(rf"(create table|insert into|update) {SCHEMA}\.alembic_version\b", text, re.IGNORECASE):
            list(texts.values())[-1].append(text)
    with _script_directory() as script:
        return [
            Step(step.revision, cast("str | None", step.down_revision), step.doc or "", texts[step.revision])
            for step in reversed(list(script.walk_revisions()))
        ]


class _Statements(StringIO):
    """What Alembic prints, piece by piece: it writes one statement at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def write(self, text: str) -> int:
        """Keep one piece, without the semicolon that ends it."""
        if stripped := text.strip().removesuffix(";").rstrip():
            self.texts.append(stripped)
        return len(text)


def run_revisions(context: Any) -> None:
    """Run Alembic's command over the connection that was handed over, or over the configured database."""
    given = context.config.attributes.get("connection")
    if given is not None:
        _run_on(context, given)
        return
    try:
        configuration = config.load()
        context.config.attributes["isolation"] = configuration.isolation
        with connect(configuration.target.database_url) as opened:
            _run_on(context, opened)
    except AutosyncError as error:
        raise CommandError(f"{error.message} (hint: {error.hint})") from None


def write_script(context: Any) -> None:
    """Write the offline script: the revisions, then every replaceable object that they allow."""
    context.configure(
        dialect_name="postgresql",
        literal_binds=True,
        dialect_opts={"paramstyle": "named"},  # with psycopg's own style every % would be doubled
        version_table_schema=SCHEMA,
    )
    migration: MigrationContext = context.get_context()
    if context.config.attributes.get("only_revisions"):
        context.run_migrations()
        return
    with context.begin_transaction():
        migration.impl.static_output(_limits().strip())
        migration.impl.static_output(f"select pg_advisory_xact_lock({ADVISORY_LOCK});")
        migration.impl.static_output(f"create schema if not exists {SCHEMA};")
        migration.impl.static_output(_announce(context.config.attributes.get("isolation")) + ";")
        migration.impl.static_output(_await().strip())
        context.run_migrations()
        migration.impl.static_output(objects.script(_target(context), context.config.attributes.get("isolation")))


def _run_on(context: EnvironmentContext, psycopg_connection: Connection) -> None:
    outcome = context.config.attributes.setdefault("outcome", Outcome())
    psycopg_connection.autocommit = False  # SQLAlchemy's begin() has no effect on an autocommit connection
    engine = sqlalchemy.create_engine(
        "postgresql+psycopg://", creator=lambda: psycopg_connection, poolclass=sqlalchemy.StaticPool
    )
    steps: list[str] = []

    def applied(ctx: Any, step: MigrationInfo, heads: Any, run_args: Any) -> None:
        steps.append(str(step.up_revision_id))

    with _explained(psycopg_connection), engine.connect() as connection:
        context.configure(
            connection=connection,
            version_table_schema=SCHEMA,
            on_version_apply=applied,
            transaction_per_migration=False,
        )
        migration = context.get_context()
        with context.begin_transaction():
            if migration.opts.get("dont_mutate"):
                context.run_migrations()
                return
            psycopg_connection.execute(f"{_limits()} select pg_advisory_xact_lock({ADVISORY_LOCK})".encode())
            outcome.before = migration.get_current_revision()
            if psycopg_connection.execute(f"select to_regnamespace('{SCHEMA}')").fetchone() == (None,):
                psycopg_connection.execute(f"create schema {SCHEMA}")
            psycopg_connection.execute(_announce(context.config.attributes.get("isolation")).encode())
            filled = [] if context.config.attributes.get("drop_rows") else _filled_tables(psycopg_connection)
            is_moving = outcome.before != _target(context)
            psycopg_connection.execute((_await() if is_moving else _short_locks(LOCK_TIMEOUT)).encode())
            context.run_migrations()
            outcome.after = migration.get_current_revision()
            outcome.revisions = steps
            if lost := [table for table in filled if not _exists(psycopg_connection, table)]:
                raise MigrationError(
                    f"this would delete the rows of {' and '.join(lost)}; nothing was changed",
                    hint="save what you need, then pass --yes",
                )
            if steps or context.config.attributes.get("apply_objects"):
                outcome.objects = objects.apply(
                    psycopg_connection, outcome.after, context.config.attributes.get("isolation")
                )


def _target(context: EnvironmentContext) -> str | None:
    """Return the revision that was asked for, None for `base` and whatever Alembic has to look up."""
    destination = context.get_revision_argument()
    return destination if isinstance(destination, str) else None


def _limits() -> str:
    # Limits of the role are for what it does every day. In any other isolation level whoever waited for the advisory
    # lock would not see what was done meanwhile.
    return f"""
set local transaction_isolation = 'read committed';
set local statement_timeout = 0;
set local lock_timeout = 0;
set local idle_in_transaction_session_timeout = '{IDLE_TIMEOUT}';
-- since PostgreSQL 17
select set_config(s.name, '0', true) from pg_settings as s where s.name = 'transaction_timeout';
"""  # noqa: S608 - constants


def _await() -> str:
    return _short_locks(LOCK_TIMEOUT) + _AWAIT + _short_locks(HELD_LOCK_TIMEOUT)


def _short_locks(timeout: str) -> str:
    return f"set local lock_timeout = '{timeout}';"


def _announce(isolation: IsolationSettings | None) -> str:
    """Return the statement that tells the revisions which mode of isolation somebody chose, if any."""
    chosen = isolation.model_dump_json() if isolation is not None else ""
    return sql.SQL("select set_config('autosync.isolation', {}, true)").format(sql.Literal(chosen)).as_string()


@contextmanager
def _unhurried(connection: Connection) -> Iterator[None]:
    """Run the block in one transaction, without the time limits of the role."""
    with connection.transaction():
        connection.execute(_limits().encode())
        yield


@contextmanager
def _explained(connection: Connection) -> Iterator[None]:
    """Raise what the server refused as the error that says so; a broken connection is for connect() to name."""
    try:
        yield
    except (sqlalchemy.exc.DBAPIError, psycopg.Error) as raised:
        error = raised.orig if isinstance(raised, sqlalchemy.exc.DBAPIError) else raised
        if not isinstance(error, psycopg.Error):
            raise
        if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
            raise _locked(connection) from None
        if isinstance(error, psycopg.OperationalError | psycopg.errors.InsufficientPrivilege) or connection.broken:
            raise error from None
        raise MigrationError(
            f"the migration failed: {error.diag.message_primary or error}; nothing was changed",
            hint=error.diag.message_hint or "run it with -vv to see the statement, and report it",
        ) from error


def _locked(connection: Connection) -> LockedError:
    with _unhurried(connection):
        row = connection.execute(_HOLDER.encode()).fetchone()
    if row is None:
        return LockedError(
            "a table was locked by a transaction that has ended since", hint="run it again when less is going on"
        )
    table, pid, user, application, age = row
    if pid is None:
        return LockedError(
            f"{table} is locked by a prepared transaction", hint="end it (select * from pg_prepared_xacts)"
        )
    lasting = f"for {duration.describe(age)}" if age is not None else "since an unknown time"
    return LockedError(
        f"{table} is locked by session {pid} (user {user}, application {application}, in a transaction {lasting})",
        hint=f"wait for that transaction, or end it with: select pg_terminate_backend({pid}); then run it again",
    )


def _filled_tables(connection: Connection) -> list[str]:
    return [
        table
        for table in DATA_TABLES
        if _exists(connection, table)
        and connection.execute(f"select exists (select from {table})").fetchone() == (True,)  # noqa: S608 - constants
    ]


def _exists(connection: Connection, table: str) -> bool:
    return connection.execute("select to_regclass(%s) is not null", [table]).fetchone() == (True,)


def _migrate(
    database_url: Secret | None,
    revision: str,
    run: Callable[..., None],
    on_retry: Callable[[str], None] | None,
    attributes: dict[str, Any],
) -> Outcome:
    def told(state: tenacity.RetryCallState) -> None:
        if on_retry and state.outcome:
            on_retry(f"attempt {state.attempt_number} of {LOCK_ATTEMPTS}: {state.outcome.exception()}")

    retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception_type(LockedError),
        wait=tenacity.wait_random_exponential(multiplier=0.5, max=8),
        stop=tenacity.stop_after_attempt(LOCK_ATTEMPTS),
        before_sleep=told,
        reraise=True,
    )
    try:
        return retrying(_attempt, database_url, revision, run, attributes)
    except LockedError as error:
        message = f"{error.message}; nothing was changed in {LOCK_ATTEMPTS} attempts"
        raise LockedError(message, hint=error.hint) from None


def _attempt(
    database_url: Secret | None, revision: str, run: Callable[..., None], attributes: dict[str, Any]
) -> Outcome:
    with connect(database_url) as connection:
        with _unhurried(connection):
            preflight.check(connection)
            revisions.current(connection)  # an unknown revision is refused before Alembic stumbles over it
        with _alembic_config() as configuration:
            outcome = Outcome()
            connection.add_notice_handler(partial(_hear, outcome))
            configuration.attributes.update(attributes, connection=connection, outcome=outcome)
            _run_alembic(run, configuration, revision)
            return outcome


def _hear(outcome: Outcome, message: psycopg.errors.Diagnostic) -> None:
    if message.severity_nonlocalized == "WARNING" and message.message_primary:
        outcome.warnings.append(message.message_primary)


def _run_alembic(run: Callable[..., None], configuration: Config, revision: str, **options: Any) -> None:
    try:
        run(configuration, revision, **options)
    except CommandError as error:
        raise _unknown_revision(revision) from error


def _unknown_revision(revision: str) -> AutosyncError:
    return MigrationError(
        f"there is no way to revision {revision!r} from here",
        hint="see the revisions with: autosync-db migrate --dry-run",
    )


def _resolve(script: ScriptDirectory, revision: str) -> str | None:
    if revision == "base":
        return None
    try:
        found = script.get_revision(revision)
    except CommandError:
        found = None
    if found is None or not re.fullmatch(r"head|\d{4}", revision):
        raise _unknown_revision(revision)
    return found.revision


@contextmanager
def _alembic_config() -> Iterator[Config]:
    with resources.folder("alembic") as location:
        configuration = Config()
        configuration.set_main_option("script_location", str(location).replace("%", "%%"))
        yield configuration


@contextmanager
def _script_directory() -> Iterator[ScriptDirectory]:
    with _alembic_config() as configuration:
        yield ScriptDirectory.from_config(configuration)
