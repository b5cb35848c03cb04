"""Run the catalogue against a database, read-only, and find the root causes.

All queries run as one statement in one read-only transaction, which takes three round trips: begin, ask, end. Only if
the statement fails does each query run in a savepoint of its own, so that one that cannot look says `unknown` and the
others still speak.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.errors import AutosyncError, UnreachableError, UsageError
from autosync_db.health import catalogue as checks
from autosync_db.health import causes
from autosync_db.health.model import Answer, Check, CheckResult, Evidence, Report, Row, Status, Verdict
from autosync_db.schema import revisions

T = TypeVar("T")
# status, object, detail and facts of a finding; a question's answer is in the place of the facts
_Found = tuple[Any, ...]
# what kept a check from looking
Blind = psycopg.Error | AutosyncError

REACHED = "server_reachable"
LOCKED_OUT = "could not look: another session has locked what it looks at; run verify again"
STATEMENT_TIMEOUT = "5s"
LOCK_TIMEOUT = "1s"
SHORT_LOCK_TIMEOUT = "100ms"


def run(
    connection: Connection,
    configuration: Configuration,
    only: Collection[str] = (),
    skip: Collection[str] = (),
    *,
    probe: bool = False,
) -> Report:
    """Return the verdicts of the chosen checks on this database, causes first. Changes nothing there.

    With `only`, the checks that could explain the chosen ones are run too, but not reported. Without `probe` the
    report is without the checks that call the function: what was not looked at is not called healthy.
    """
    for id in (*only, *skip):
        if checks.find(id).probes and not probe and id in only:
            raise UsageError(f"the check {id} calls the function", hint="allow that with --probe")
    catalogue = {id: check for id, check in checks.all_checks().items() if probe or not check.probes}
    wanted = {found for id in only or catalogue for found in (id, *causes.explaining(id, catalogue, Status.UNKNOWN))}
    wanted -= set(skip)
    reported = [id for id in catalogue if id in wanted and (not only or id in only)]
    if not reported:
        raise UsageError("no check is left to run", hint="name other checks with --only or --skip")
    name = configuration.settings.job.name
    rows = _collect(connection, configuration, {id: catalogue[id] for id in catalogue if id in wanted})
    verdicts = {id: _judge(catalogue[id], found) for id, found in rows.items()}
    results = (
        CheckResult(id, catalogue[id], verdicts[id], causes.blocked_by(id, verdicts, catalogue)) for id in reported
    )
    return Report(configuration.target.name, name, datetime.now(UTC), tuple(results))


def unreachable(configuration: Configuration, error: UnreachableError) -> Report:
    """Return the report of a server that could not be looked at: one root cause that explains everything else."""
    unseen = Verdict(Status.UNKNOWN, "could not look: the server was not reached")
    seen = Verdict(Status.CRITICAL, error.message, (Evidence("server", error.message),))
    results = (
        CheckResult(id, check, seen) if id == REACHED else CheckResult(id, check, unseen, (REACHED,))
        for id, check in checks.all_checks().items()
        if not check.probes
    )
    return Report(configuration.target.name, configuration.settings.job.name, datetime.now(UTC), tuple(results))


def _collect(
    connection: Connection, configuration: Configuration, wanted: Mapping[str, Check]
) -> dict[str, list[Row] | Blind]:
    """Return each check's findings, or the error that kept it from looking."""
    queries = {id: _query(id, check) for id, check in wanted.items() if check.look is None}
    opening, ending = _brackets(connection, configuration.settings.job.name)
    connection.execute(opening)
    try:
        asked_at = _now()
        answers = _ask_at_once(connection, queries)
        if not isinstance(answers, dict):
            connection.execute(ending)
            connection.execute(opening)
            if isinstance(answers, psycopg.errors.LockNotAvailable):
                # who waited once waits no second time, and there are many who would
                connection.execute(f"set local lock_timeout = '{SHORT_LOCK_TIMEOUT}'".encode())
            asked_at = _now()
            answers = {id: _try(connection, partial(_ask, connection, query)) for id, query in queries.items()}
        answered_at = _now()
        found: dict[str, list[Row] | Blind] = {}
        for id, check in wanted.items():
            if check.look is not None:
                found[id] = _try(connection, partial(check.look, connection, configuration))
                continue
            rows = answers[id]
            if isinstance(rows, Blind):
                found[id] = rows
            elif check.question is None:
                found[id] = [Row(status, str(object), str(detail), facts) for status, object, detail, facts in rows]
            else:
                values = [value for *_, value in rows]
                answer = Answer(values, asked_at, answered_at, connection, configuration)
                found[id] = _read(check.question.read, answer)
        return found
    finally:
        if not connection.broken:
            connection.execute(ending)


def _brackets(connection: Connection, job_name: str) -> tuple[bytes, bytes]:
    """Return the statements that begin to look and that end it; without parameters each is one round trip.

    Inside a transaction of the caller they are a savepoint, so that uncommitted changes can be looked at.
    """
    settings = {
        # compiling the one large statement would cost seconds, on tables that were never analysed
        "jit": "off",
        "statement_timeout": STATEMENT_TIMEOUT,
        "lock_timeout": LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": "0",
        "search_path": "",
        "autosync.job": job_name,
        "autosync.head": revisions.head(),
    }
    calls = sql.SQL(", ").join(
        sql.SQL("set_config({}, {}, true)").format(sql.Literal(name), sql.Literal(value))
        for name, value in settings.items()
    )
    # a server before 17 has no transaction_timeout
    unlimited = sql.SQL(
        "select set_config(s.name, '0', true) from pg_settings as s where s.name = 'transaction_timeout'"
    )
    if connection.info.transaction_status is TransactionStatus.IDLE:
        begin, end = "begin transaction read only", "rollback"
    else:
        begin, end = "savepoint looking; set transaction read only", "rollback to savepoint looking; release looking"
    return sql.SQL("{}; select {}; {}").format(sql.SQL(begin), calls, unlimited).as_bytes(), end.encode()


def _query(id: str, check: Check) -> str:
    """Return a check's query with the columns that all share; our own files, and ids that are names of modules."""
    name = sql.Literal(id).as_string()
    if check.question is None:
        return f"select {name} as id, f.status, f.object, f.detail, f.facts from (\n{checks.query(id)}\n) as f"  # noqa: S608
    return f"select {name} as id, '' as status, '' as object, '' as detail, f.fact as facts from (\n{check.question.query()}\n) as f"  # noqa: S608, E501


def _ask_at_once(connection: Connection, queries: Mapping[str, str]) -> dict[str, list[_Found] | Blind] | psycopg.Error:
    """Run all queries as one statement, or return the error that ended it and the transaction."""
    # `offset 0` keeps them apart: the planner would merge them into one query and go through all of it for each
    statement = "\nunion all\n".join(f"({query} offset 0)" for query in queries.values())
    try:
        rows = connection.execute(statement.encode()).fetchall() if queries else []
    except psycopg.Error as error:
        if connection.broken:
            raise
        return error
    answers: dict[str, list[_Found]] = {id: [] for id in queries}
    for id, *row in rows:
        answers[id].append(tuple(row))
    return dict(answers)


def _ask(connection: Connection, query: str) -> list[_Found]:
    return [tuple(row) for _, *row in connection.execute(query.encode()).fetchall()]


def _read(read: Callable[[Answer], list[Row]], answer: Answer) -> list[Row] | Blind:
    """Return what a question's reader makes of the answer, or the error that kept it from judging."""
    try:
        return read(answer)
    except (psycopg.Error, AutosyncError) as error:
        if answer.connection.broken:
            raise
        return error


def _now() -> datetime:
    return datetime.now(UTC)


def _try(connection: Connection, look: Callable[[], list[T]]) -> list[T] | Blind:
    """Return what `look` finds, in a savepoint, or the error that kept it from looking."""
    try:
        with connection.transaction():
            return look()
    except (psycopg.Error, AutosyncError) as error:
        if connection.broken:
            raise
        return error


def _judge(check: Check, found: list[Row] | Blind) -> Verdict:
    if isinstance(found, psycopg.errors.LockNotAvailable):
        return Verdict(Status.UNKNOWN, LOCKED_OUT, locked_out=True)
    if isinstance(found, Blind):
        primary = found.diag.message_primary if isinstance(found, psycopg.Error) else found.message
        reason = primary or type(found).__name__
        return Verdict(Status.UNKNOWN, f"could not look: {reason}")
    return check.judge(found, check.claim)
