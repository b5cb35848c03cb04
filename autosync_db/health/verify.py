"""Run the catalogue against a database, read-only, and find the root causes.

All queries run as a few statements in one read-only transaction, which takes three round trips: begin, ask, end. Only
if one fails does each query run in a savepoint of its own, so that one that cannot look says `unknown` and the
others still speak. What the jobs did (health.work) is a fourth round trip, where it is wanted.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from psycopg.pq import TransactionStatus

from autosync_db.config import GUIDE_JOB, Configuration
from autosync_db.connection import Connection, exists, spelling
from autosync_db.errors import AutosyncError, UnreachableError, UsageError, unknown
from autosync_db.health import catalogue as checks
from autosync_db.health import causes, composer, work
from autosync_db.health.beside import beside
from autosync_db.health.composer import Job
from autosync_db.health.model import Answer, Check, CheckResult, Evidence, Report, Row, Status, Verdict
from autosync_db.jobs import registry
from autosync_db.remedies import Aim
from autosync_db.schema import revisions

T = TypeVar("T")
# job, status, object, detail and facts of a finding; a question's answer is in the place of the facts
_Found = tuple[Any, ...]
# what kept a check from looking
Blind = psycopg.Error | AutosyncError

REACHED, SECRETS = "server_reachable", "secrets_present"
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
    jobs: Collection[str] = (),
    probe: bool = False,
    with_work: bool = False,
    before_setup: bool = False,
    meanwhile: Callable[[], None] | None = None,
) -> Report:
    """Return the verdicts of the chosen checks on the chosen jobs, causes first. Changes nothing in the database.

    `before_setup`: that nobody has set the database up yet is a warning, which explains what follows from it.
    `meanwhile` is called while the database looks: it may load what is needed for the report.

    Without `jobs` they are those of the settings; where the settings name none, all that are registered. With `only`,
    the checks that could explain the chosen ones are run too, and reported where they do. Without `probe` the report is
    without the checks that call the function: what was not looked at is not called healthy. With
    `with_work` it has what the jobs did, too.
    """
    only, skip = _of_layers(only), _of_layers(skip)
    for id in (*only, *skip):
        if checks.find(id).probes and not probe and id in only:
            raise UsageError(f"the check {id} calls the function", hint="allow that with --probe")
    catalogue = {id: check for id, check in checks.all_checks().items() if probe or not check.probes}
    wanted = {found for id in only or catalogue for found in (id, *causes.explaining(id, catalogue, Status.UNKNOWN))}
    if any(causes.is_of_copy(id, catalogue[id]) for id in wanted):
        wanted |= {causes.COPY, *causes.explaining(causes.COPY, catalogue, Status.UNKNOWN)}
    wanted -= set(skip)
    reported = [id for id in catalogue if id in wanted and (not only or id in only)]
    if not reported:
        raise UsageError("no check is left to run", hint="name other checks with --only or --skip")
    look = _Look(connection, configuration, tuple(dict.fromkeys(jobs)), with_work=with_work, meanwhile=meanwhile)
    found = look.at({id: catalogue[id] for id in catalogue if id in wanted})
    if jobs:
        _must_exist(connection, look.jobs, configuration)
    verdicts = {id: {job: _judge(catalogue[id], rows) for job, rows in of_job.items()} for id, of_job in found.items()}
    results = _explained(reported, verdicts, catalogue, configuration.aim)
    if before_setup:
        results = list(map(_as_expected, results))
    if not results:
        raise UsageError(
            f"none of the jobs is of the kind that {', '.join(reported)} speaks of",
            hint="name other jobs with --job, or other checks with --only",
        )
    names = tuple(job.name for job in look.jobs)
    return Report(configuration.target.name, names, datetime.now(UTC), tuple(results), configuration.aim, look.work)


def _explained(
    reported: Sequence[str], verdicts: causes.Verdicts, catalogue: Mapping[str, Check], aim: Aim
) -> list[CheckResult]:
    """Return the results of the chosen checks, and of what kept them from looking, whether or not that was chosen."""
    known: causes.Known = {}

    def judged(id: str) -> list[CheckResult]:
        return [
            CheckResult(
                id, catalogue[id], verdict, causes.blocked_by(id, verdict, job, verdicts, catalogue, known), job, aim
            )
            for job, verdict in verdicts[id].items()
        ]

    results = [result for id in reported for result in judged(id)]
    seen = set(reported)
    while hidden := {id for result in results for id in result.blocked_by} - seen:
        seen |= hidden
        results += [
            result for id in catalogue if id in hidden for result in judged(id) if result.status is not Status.OK
        ]
    return results


def _as_expected(result: CheckResult) -> CheckResult:
    """Return a result, as a warning if it only says that the database was not set up."""
    found = result.verdict.evidence
    if result.id != SECRETS or not found or any(item.facts.get("is_set_up", True) for item in found):
        return result
    summary = "this database is not set up, and its jobs make no calls"
    return replace(result, verdict=replace(result.verdict, status=Status.WARNING, summary=summary))


def unreachable(configuration: Configuration, error: UnreachableError, jobs: Collection[str] = ()) -> Report:
    """Return the report of a server that could not be looked at: one root cause that explains everything else."""
    aim = configuration.aim
    unseen = Verdict(Status.UNKNOWN, "could not look: the server was not reached")
    said = (Evidence("server", error.message), *([Evidence("what helps", error.hint)] if error.hint else []))
    seen = Verdict(Status.CRITICAL, error.message, said)
    results = (
        CheckResult(id, check, seen if id == REACHED else unseen, () if id == REACHED else (REACHED,), aim=aim)
        for id, check in checks.all_checks().items()
        if not check.probes
    )
    names = tuple(jobs) or composer.named(configuration) or (GUIDE_JOB,)
    return Report(configuration.target.name, names, datetime.now(UTC), tuple(results), aim)


def _of_layers(names: Collection[str]) -> list[str]:
    """Return ids, with the name of a layer replaced by its checks."""
    known = checks.all_checks()
    layers = {check.layer for check in known.values()}
    for name in names:
        if name not in known and name not in layers:
            words = [*layers, *known]
            raise unknown("check or layer", name, words, hint="list them with: autosync-db explain")
    return [
        id
        for name in names
        for id in ([found for found, check in known.items() if check.layer == name and not check.probes] or [name])
    ]


def _must_exist(connection: Connection, jobs: Collection[Job], configuration: Configuration) -> None:
    """Raise UsageError for a job that was chosen by name and that neither the settings nor the database know."""
    for job in jobs:
        if not job.is_registered and job.name in configuration.settings.elsewhere:
            raise registry.not_here(configuration.settings, job.name)
        if not job.is_registered and job.name not in (composer.named(configuration) or ()):
            there = registry.all_jobs(connection) if exists(connection, "autosync.job") else []
            known = [*(one.name for one in there), *(composer.named(configuration) or ())]
            raise unknown("job", job.name, known, hint="list them with: autosync-db jobs list")


class _Look:
    """One look at the database: `jobs` are those that were chosen, and `work` what they did, once that is known."""

    def __init__(
        self,
        connection: Connection,
        configuration: Configuration,
        names: tuple[str, ...],
        *,
        with_work: bool = False,
        meanwhile: Callable[[], None] | None = None,
    ) -> None:
        self._connection = connection
        self._configuration = configuration
        self._names = names or composer.named(configuration)
        self._chosen = composer.spoken_of(configuration, names)
        self._with_work = with_work
        self._meanwhile = meanwhile
        self.jobs: list[Job] = []
        self.work: work.Work | None = None

    def at(self, wanted: Mapping[str, Check]) -> dict[str, dict[str | None, list[Row] | Blind]]:
        """Return each check's findings by job, or the error that kept it from looking."""
        connection = self._connection
        queries = {
            id: composer.query(id, check, self._configuration) for id, check in wanted.items() if check.look is None
        }
        opening, ending = brackets(connection)
        connection.execute(opening)
        try:
            asked_at = _now()
            answers: dict[str, list[_Found] | Blind] | psycopg.Error = self._ask_at_once(wanted, queries)
            if not isinstance(answers, dict):
                end(connection, ending)
                connection.execute(opening)
                if isinstance(answers, psycopg.errors.LockNotAvailable):
                    # who waited once waits no second time, and there are many who would
                    connection.execute(f"set local lock_timeout = '{SHORT_LOCK_TIMEOUT}'".encode())
                asked_at = _now()
                answers = self._ask_one_by_one(queries)
            answered_at = _now()
            found: dict[str, dict[str | None, list[Row] | Blind]] = {}
            for id, check in wanted.items():
                of_job = (
                    self._looked(check) if check.look else self._answered(check, answers[id], asked_at, answered_at)
                )
                found[id] = of_job
            if self._with_work:
                self.work = self._work(opening, ending)
            return found
        finally:
            if not connection.broken:
                end(connection, ending)

    def _ask_at_once(
        self, wanted: Mapping[str, Check], queries: Mapping[str, str]
    ) -> dict[str, list[_Found] | Blind] | psycopg.Error:
        """Ask all queries in one round trip, or return the error that ended it and the transaction."""
        text = b";\n".join(composer.statements(self._chosen, wanted, queries))
        try:
            with beside(self._meanwhile):
                cursor = self._connection.execute(text)
            rows = cursor.fetchall()
            while cursor.nextset():
                rows += cursor.fetchall()
        except psycopg.Error as error:
            if self._connection.broken:
                raise
            return error
        answers: dict[str, list[_Found]] = {id: [] for id in (composer.JOBS, *queries)}
        for id, *row in rows:
            answers[id].append(tuple(row))
        self.jobs = _jobs(answers.pop(composer.JOBS))
        return dict(answers)

    def _ask_one_by_one(self, queries: Mapping[str, str]) -> dict[str, list[_Found] | Blind]:
        """Run each query in a savepoint of its own."""
        connection = self._connection

        def ask(jobs: str, query: str) -> list[_Found]:
            return [tuple(row) for _, *row in connection.execute(composer.statement(jobs, [query])).fetchall()]

        rows = _try(connection, partial(ask, self._chosen, composer.all_jobs()))
        self.jobs = composer.unknown(self._names) if isinstance(rows, Blind) else _jobs(rows)
        jobs = composer.known(self.jobs)
        return {id: _try(connection, partial(ask, jobs, query)) for id, query in queries.items()}

    def _work(self, opening: bytes, ending: bytes) -> work.Work:
        """Ask for what the jobs did, as one statement; if that fails, each part by itself."""
        connection = self._connection

        def ask(*parts: str) -> list[tuple[Any, ...]]:
            return connection.execute(composer.statement(self._chosen, map(work.query, parts))).fetchall()

        names = [job.name for job in self.jobs]
        try:
            return work.of_answers(ask(*work.PARTS), names)
        except psycopg.Error:
            if connection.broken:
                raise
        end(connection, ending)
        connection.execute(opening)
        connection.execute(f"set local lock_timeout = '{SHORT_LOCK_TIMEOUT}'".encode())
        answers = {part: _try(connection, partial(ask, part)) for part in work.PARTS}
        unread = {part for part, answer in answers.items() if isinstance(answer, Blind)}
        rows = [row for answer in answers.values() if not isinstance(answer, Blind) for row in answer]
        return work.of_answers(rows, names, unread)

    def _looked(self, check: Check) -> dict[str | None, list[Row] | Blind]:
        assert check.look is not None
        return {
            job: _try(self._connection, partial(check.look, self._connection, self._configuration, job))
            for job in self._spoken_of(check)
        }

    def _answered(
        self, check: Check, found: list[_Found] | Blind, asked_at: datetime, answered_at: datetime
    ) -> dict[str | None, list[Row] | Blind]:
        if isinstance(found, Blind):
            return {None: found}
        answers: dict[str | None, list[Row] | Blind] = {}
        for name in self._spoken_of(check):
            mine = [values for job, *values in found if job == name]
            if check.question is None:
                answers[name] = [Row(status, str(object), str(detail), facts) for status, object, detail, facts in mine]
                continue
            values = [value for *_, value in mine]
            answer = Answer(name, values, asked_at, answered_at, self._connection, self._configuration)
            answers[name] = _read(check.question.read, answer)
        return answers

    def _spoken_of(self, check: Check) -> list[str | None]:
        return [job.name for job in self.jobs if job.is_of(check.scope)] if check.speaks_of_jobs else [None]


def _jobs(rows: list[_Found]) -> list[Job]:
    return sorted((composer.job_of(name, facts) for name, *_, facts in rows), key=lambda job: job.name)


def brackets(connection: Connection) -> tuple[bytes, bytes]:
    """Return the statements that begin to look and that end it; without parameters each is one round trip.

    Inside a transaction of the caller they are a savepoint, so that uncommitted changes can be looked at.
    """
    settings = {
        # compiling the large statements would cost seconds, on tables that were never analysed
        "jit": "off",
        "statement_timeout": STATEMENT_TIMEOUT,
        "lock_timeout": LOCK_TIMEOUT,
        "idle_in_transaction_session_timeout": "0",
        "search_path": "",
        "autosync.head": revisions.head(),
        **spelling.SETTINGS,
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


def end(connection: Connection, ending: bytes) -> None:
    """End the look. On a machine that stands still for seconds, the limit of a statement may hit this one, too."""
    try:
        connection.execute(ending)
    except psycopg.errors.QueryCanceled:
        connection.execute(ending)


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


_ABSENT = (psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.UndefinedFunction)


def _judge(check: Check, found: list[Row] | Blind) -> Verdict:
    if isinstance(found, psycopg.errors.LockNotAvailable):
        return Verdict(Status.UNKNOWN, LOCKED_OUT, locked_out=True)
    if isinstance(found, Blind):
        primary = found.diag.message_primary if isinstance(found, psycopg.Error) else found.message
        reason = primary or type(found).__name__
        return Verdict(Status.UNKNOWN, f"could not look: {reason}", lacking=isinstance(found, _ABSENT))
    return check.judge(found, check.claim)
