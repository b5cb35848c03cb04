"""Run the catalogue against a database, read-only, and find the root causes.

All queries run as one statement in one read-only transaction. Only if that fails does each run in a savepoint of its
own, so that one that cannot look says `unknown` and the others still speak.
"""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar, cast

import psycopg
from psycopg import sql

from autosync_db import checks, revision
from autosync_db.checks.model import Check, CheckResult, Evidence, Row, Status, Verdict
from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.errors import AutosyncError, UnreachableError, UsageError

T = TypeVar("T")
# what kept a check from looking
Blind = psycopg.Error | AutosyncError

REACHED = "server_reachable"
STATEMENT_TIMEOUT = "5s"
LOCK_TIMEOUT = "1s"


@dataclass(frozen=True, slots=True)
class Report:
    """The verdicts on one target at one moment, and what explains the failing ones."""

    target: str
    job: str
    checked_at: datetime
    results: tuple[CheckResult, ...]

    @property
    def root_causes(self) -> tuple[CheckResult, ...]:
        """Return the failing checks that no other failing check explains, most severe first."""
        failing = [result for result in self.results if result.status not in {Status.OK, Status.BLOCKED}]
        return tuple(sorted(failing, key=lambda result: -result.status.severity))

    @property
    def notes(self) -> tuple[CheckResult, ...]:
        """Return the healthy checks that have something to say all the same, such as a pause."""
        return tuple(
            result
            for result in self.results
            if result.check.notable and result.status is Status.OK and result.verdict.evidence
        )

    @property
    def status(self) -> Status:
        """Return the worst of all verdicts."""
        roots = self.root_causes
        return roots[0].status if roots else Status.OK


def run(
    connection: Connection,
    configuration: Configuration,
    only: Collection[str] = (),
    skip: Collection[str] = (),
) -> Report:
    """Return the verdicts of the chosen checks on this database, causes first. Changes nothing there.

    With `only`, the checks that could explain the chosen ones are run too, but not reported.
    """
    for id in (*only, *skip):
        checks.find(id)
    catalogue = checks.catalogue()
    wanted = {found for id in only or catalogue for found in (id, *_explaining(id, catalogue, Status.UNKNOWN))}
    wanted -= set(skip)
    reported = [id for id in catalogue if id in wanted and (not only or id in only)]
    if not reported:
        raise UsageError("no check is left to run", hint="name other checks with --only or --skip")
    name = configuration.settings.job.name
    rows = _collect(connection, configuration, {id: catalogue[id] for id in catalogue if id in wanted})
    verdicts = {id: _judge(catalogue[id], found) for id, found in rows.items()}
    results = (CheckResult(id, catalogue[id], verdicts[id], _blocked_by(id, verdicts, catalogue)) for id in reported)
    return Report(configuration.target.name, name, datetime.now(UTC), tuple(results))


def unreachable(configuration: Configuration, error: UnreachableError) -> Report:
    """Return the report of a server that could not be looked at: one root cause that explains everything else."""
    unseen = Verdict(Status.UNKNOWN, "could not look: the server was not reached")
    seen = Verdict(Status.CRITICAL, error.message, (Evidence("server", error.message),))
    results = (
        CheckResult(id, check, seen) if id == REACHED else CheckResult(id, check, unseen, (REACHED,))
        for id, check in checks.catalogue().items()
    )
    return Report(configuration.target.name, configuration.settings.job.name, datetime.now(UTC), tuple(results))


def _collect(
    connection: Connection, configuration: Configuration, wanted: Mapping[str, Check]
) -> dict[str, list[Row] | Blind]:
    """Return each check's findings, or the error that kept it from looking."""
    queries = {id: checks.query(id) for id, check in wanted.items() if check.look is None}
    connection.execute("begin transaction read only")
    try:
        connection.execute(
            # compiling the one large statement would cost seconds, on tables that were never analysed
            "select set_config('jit', 'off', true),"
            " set_config('statement_timeout', %s, true), set_config('lock_timeout', %s, true),"
            " set_config('search_path', '', true), set_config('autosync.job', %s, true),"
            " set_config('autosync.head', %s, true)",
            [STATEMENT_TIMEOUT, LOCK_TIMEOUT, configuration.settings.job.name, revision.head()],
        )
        found = _collect_at_once(connection, queries)
        for id, check in wanted.items():
            if check.look is not None:
                look = partial(check.look, connection, configuration)
                found[id] = _collect_one(connection, look)
        return found
    finally:
        if not connection.broken:
            connection.execute("rollback")


def _collect_at_once(connection: Connection, queries: Mapping[str, str]) -> dict[str, list[Row] | Blind]:
    """Run all queries as one statement; each on its own only if that fails."""
    union = "\nunion all\n".join(  # our own files, and ids that are names of modules
        f"select {sql.Literal(id).as_string()} as id, f.status, f.object, f.detail from (\n{text}\n) as f"  # noqa: S608
        for id, text in queries.items()
    )
    rows = _collect_one(connection, lambda: connection.execute(union.encode()).fetchall())
    if isinstance(rows, Blind):
        return {id: _collect_one(connection, partial(_rows, connection, text)) for id, text in queries.items()}
    found: dict[str, list[Row] | Blind] = {id: [] for id in queries}
    for id, *row in rows:
        cast("list[Row]", found[id]).append(Row(*row))
    return found


def _rows(connection: Connection, text: str) -> list[Row]:
    return [Row(*row) for row in connection.execute(text.encode()).fetchall()]


def _collect_one(connection: Connection, look: Callable[[], list[T]]) -> list[T] | Blind:
    """Return what `look` finds, in a savepoint, or the error that kept it from looking."""
    try:
        with connection.transaction():
            return look()
    except (psycopg.Error, AutosyncError) as error:
        if connection.broken:
            raise
        return error


def _judge(check: Check, found: list[Row] | Blind) -> Verdict:
    if isinstance(found, Blind):
        primary = found.diag.message_primary if isinstance(found, psycopg.Error) else found.message
        reason = primary or type(found).__name__
        return Verdict(Status.UNKNOWN, f"could not look: {reason}")
    return check.judge(found, check.claim)


def _blocked_by(id: str, verdicts: Mapping[str, Verdict], catalogue: Mapping[str, Check]) -> tuple[str, ...]:
    """Return the failing checks that explain this one and are not explained themselves; empty for a root cause."""
    status = verdicts[id].status
    if status is Status.OK:
        return ()
    # what nobody could look at explains no failure that was seen
    explains = {Status.CRITICAL, Status.UNKNOWN} if status is Status.UNKNOWN else {Status.CRITICAL}
    failing = [
        cause
        for cause in _explaining(id, catalogue, status, verdicts)
        if cause in verdicts and verdicts[cause].status in explains
    ]
    return tuple(cause for cause in failing if not _blocked_by(cause, verdicts, catalogue))


def _explaining(
    id: str, catalogue: Mapping[str, Check], status: Status, verdicts: Mapping[str, Verdict] | None = None
) -> list[str]:
    """Return every check whose failure explains `status` of this one, nearest first.

    With `verdicts`, a chain ends at a healthy check: what lies behind it has no effect here.
    """
    found: list[str] = []
    pending = [id]
    while pending:
        check = catalogue[pending.pop(0)]
        for cause in (*check.causes, *(check.needs if status is Status.UNKNOWN else ())):
            if cause not in found:
                found.append(cause)
                if verdicts is None or cause not in verdicts or verdicts[cause].status is not Status.OK:
                    pending.append(cause)
    return found
