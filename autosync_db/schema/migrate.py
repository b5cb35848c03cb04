"""Bring a database to a revision: Alembic's revisions, then the replaceable objects, in one transaction.

One transaction and one advisory lock: a migration that is killed leaves the database as it was, and of any number
that run at once one works and the others find nothing to do. Alembic's env.py runs the same code.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from io import StringIO
from typing import Any, cast

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util.exc import CommandError

from autosync_db import patience, resources
from autosync_db.config import IsolationSettings
from autosync_db.connection import connect
from autosync_db.errors import AutosyncError, MigrationError, closest
from autosync_db.schema import inventory, locks, objects, preflight, revisions
from autosync_db.schema.environment import REQUEST, Around, Request, TrialOver
from autosync_db.schema.inventory import Note
from autosync_db.schema.isolation import ACCESS_FILE, stored
from autosync_db.schema.revisions import SCHEMA, MigrationResult
from autosync_db.secret import Secret


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision: its id and what it does."""

    id: str
    summary: str


@dataclass(frozen=True, slots=True)
class ScriptedRevision:
    """One revision as the statements of its upgrade; the version table's own are not among them."""

    revision: str
    previous: str | None
    summary: str
    statements: list[str]


@dataclass(frozen=True, slots=True)
class MigrationPlan:
    """What a migration would do; nothing has been changed to find out."""

    current: str | None
    target: str | None
    upgrades: list[Revision]
    objects: dict[str, objects.State]
    # what is there already and what would become of it
    adoption: list[Note] = field(default_factory=list)

    @property
    def is_current(self) -> bool:
        """Whether there is nothing to do."""
        return not self.upgrades and not self.objects

    @property
    def refusals(self) -> list[Note]:
        """Return what stands in the way of the migration."""
        return [note for note in self.adoption if note.action == "refuse"]


def plan(
    database_url: Secret | None, revision: str = "head", isolation: IsolationSettings | None = None
) -> MigrationPlan:
    """Return what `upgrade` would do to this database. Reads only."""
    with connect(database_url) as connection, locks.unhurried(connection):
        preflight.check(connection)
        current = revisions.current(connection)
        with _script_directory() as script:
            target = _resolve(script, revision)
            pending = [
                step for step in reversed(list(script.iterate_revisions(target, current))) if step.revision != current
            ]
            upgrades = [Revision(step.revision, step.doc or "") for step in pending]
            adopted = inventory.notes(connection, [step.revision for step in pending], isolation)
        states = objects.states(connection, max(target or "", current or "") or None)
        if isolation is not None and isolation != stored(connection) and ACCESS_FILE in states:
            states[ACCESS_FILE] = objects.State.OUTDATED
    changed: dict[str, objects.State] = {
        path: state for path, state in states.items() if state is not objects.State.CURRENT
    }
    return MigrationPlan(current, target, upgrades, changed, adopted)


def upgrade(
    database_url: Secret | None,
    revision: str = "head",
    *,
    isolation: IsolationSettings | None = None,
    begins: Around | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> MigrationResult:
    """Bring the database to `revision`, in one transaction; an up-to-date database is left untouched.

    `isolation` None keeps the mode that the database was last given. `begins` runs in the transaction before the first
    revision, when no other migration or teardown can be at work; what it raises leaves everything as it was.
    `on_retry` gets a message that names the lock after each attempt that failed because of one, and while another
    migration is waited for. Raises LockedError after the last attempt, and MigrationError when the migration is
    refused or fails; then nothing has changed.
    """
    request = Request(isolation=isolation, applies_objects=True, drops_rows=True, begins=begins, on_wait=on_retry)
    return _migrate(database_url, revision, command.upgrade, request)


def downgrade(
    database_url: Secret | None,
    revision: str,
    *,
    drop_rows: bool = False,
    is_trial: bool = False,
    begins: Around | None = None,
    on_retry: Callable[[str], None] | None = None,
) -> MigrationResult:
    """Take the database back to `revision` (`base` for none), in one transaction; `begins` as for upgrade().

    Raises MigrationError when that would drop a table that holds rows, unless `drop_rows`; nothing is changed then.
    A trial does it all, under the same locks, and takes it back: its result is what it would be.
    """
    request = Request(drops_rows=drop_rows or is_trial, is_trial=is_trial, begins=begins, on_wait=on_retry)
    return _migrate(database_url, revision, command.downgrade, request)


def remove(
    database_url: Secret | None,
    *,
    begins: Around,
    ends: Around,
    on_retry: Callable[[str], None] | None = None,
) -> MigrationResult:
    """Take the database back to before the first revision, whatever tables hold, and `ends` in the same transaction.

    `begins` runs in it before anything is dropped, with the tables of the API free of other sessions' locks a moment
    before; what it raises leaves everything as it was.
    """
    request = Request(drops_rows=True, begins=begins, ends=ends, on_wait=on_retry)
    return _migrate(database_url, "base", command.downgrade, request)


def script_sql(revision: str = "head", isolation: IsolationSettings | None = None) -> str:
    """Return the SQL script that `upgrade` of an empty database would run. Connects to nothing."""
    buffer = StringIO()
    with _alembic_config() as configuration, redirect_stdout(buffer):
        configuration.output_buffer = buffer
        configuration.attributes[REQUEST] = Request(isolation=isolation)
        _run_alembic(command.upgrade, configuration, revision, sql=True)
    return buffer.getvalue()


def steps() -> list[ScriptedRevision]:
    """Return every revision, oldest first, as statements that can be run elsewhere. Connects to nothing."""
    written = _Statements()
    with _alembic_config() as configuration, redirect_stdout(StringIO()):
        configuration.output_buffer = written
        configuration.attributes[REQUEST] = Request(only_revisions=True)
        _run_alembic(command.upgrade, configuration, "head", sql=True)
    texts: dict[str, list[str]] = {}
    for text in written.texts:
        if started := re.match(r"-- Running upgrade .*-> (\w+)", text):
            texts[started[1]] = []
        elif not re.match(rf"(create table|insert into|update) {SCHEMA}\.alembic_version\b", text, re.IGNORECASE):
            list(texts.values())[-1].append(text)
    with _script_directory() as script:
        return [
            ScriptedRevision(
                step.revision, cast("str | None", step.down_revision), step.doc or "", texts[step.revision]
            )
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


def _migrate(database_url: Secret | None, revision: str, run: Callable[..., None], request: Request) -> MigrationResult:
    return locks.retrying(partial(_attempt, database_url, revision, run, request), request.on_wait)


def _attempt(database_url: Secret | None, revision: str, run: Callable[..., None], request: Request) -> MigrationResult:
    result = MigrationResult()
    # outside, so that the connection ends without a commit
    with suppress(TrialOver), connect(database_url, patience=patience.MIGRATION_SECONDS) as connection:
        with locks.unhurried(connection):
            preflight.check(connection)
            revisions.current(connection)  # an unknown revision is refused before Alembic stumbles over it
        with _alembic_config() as configuration:
            connection.add_notice_handler(partial(_hear, result))
            configuration.attributes[REQUEST] = replace(request, connection=connection, result=result)
            _run_alembic(run, configuration, revision)
    return result


def _hear(result: MigrationResult, message: psycopg.errors.Diagnostic) -> None:
    if message.severity_nonlocalized == "WARNING" and message.message_primary:
        result.warnings.append(message.message_primary)


def _run_alembic(run: Callable[..., None], configuration: Config, revision: str, **options: Any) -> None:
    try:
        run(configuration, revision, **options)
    except CommandError as error:
        raise _unknown_revision(revision) from error


def _unknown_revision(revision: str) -> AutosyncError:
    near = closest(revision, ["base", "head", *revisions.known()])
    return MigrationError(
        f"there is no way to revision {revision!r} from here" + (f"; did you mean {near}?" if near else ""),
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
