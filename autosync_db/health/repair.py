"""Plan repairs from a health report, print them, and apply them: root causes first, each in a transaction of its own.

What is printed is what runs: every statement is rendered once, by the driver, when the repair is planned.
"""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Literal

import psycopg
from psycopg import sql

from autosync_db.config import Configuration
from autosync_db.connection import Connection, event_triggers, spelling
from autosync_db.credentials.known import KnownKey
from autosync_db.errors import AutosyncError
from autosync_db.health import catalogue, restoring, verify
from autosync_db.health.model import CheckResult, Refusal, Repair, Report, Restoration, Scene, Status
from autosync_db.plain import without_controls
from autosync_db.schema.revisions import ADVISORY_LOCK

LOCK_TIMEOUT = "3s"
STATEMENT_TIMEOUT = "60s"
SETTLING = timedelta(seconds=5)
_PAUSE_SECONDS = 0.2
# of a transaction that the server ended because another session waited for it, too
_ATTEMPTS = 3

Kind = Literal["healthy", "not_repairable", "unknown", "blocked", "refused"]
_FAILING = {Status.WARNING, Status.CRITICAL}


@dataclass(frozen=True, slots=True)
class Proposal:
    """A repair of a failing check as it would be made: `statements` are exactly what runs, in this order.

    `after` are the checks that explain this one; it makes no sense before they are repaired. `job` is the job that the
    check failed for, where it speaks of jobs. `restores` are secrets to put back, for which there is no statement, with
    the fingerprints of what was stored.
    """

    id: str
    sentence: str
    statements: tuple[str, ...]
    destructive: bool
    in_batches: bool
    after: tuple[str, ...] = ()
    job: str | None = None
    restores: Mapping[str, str | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Refused:
    """A check that is not repaired, why, and what can be done instead."""

    id: str
    kind: Kind
    reason: str
    hint: str
    job: str | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """What can be repaired, root causes first, and what cannot."""

    proposals: tuple[Proposal, ...]
    refusals: tuple[Refused, ...]

    def consented(self, ids: Collection[str] = ()) -> tuple[Proposal, ...]:
        """Return the proposals that need no consent, and those that have it because their check was named."""
        return tuple(proposal for proposal in self.proposals if not proposal.destructive or proposal.id in ids)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a repair: done, or an error with a hint and nothing changed; `rows` counts what batches did.

    A `skipped` one was not tried, because what explains its check was not repaired.
    """

    id: str
    sentence: str
    error: str | None = None
    hint: str | None = None
    skipped: bool = False
    rows: int | None = None
    job: str | None = None


def plan(
    connection: Connection,
    configuration: Configuration,
    report: Report,
    ids: Collection[str] = (),
    known: KnownKey | None = None,
) -> Plan:
    """Return the repairs of the failing checks of a full report, or of those named. Reads only.

    `known` is a service key at hand that may take the place of a lost one.

    Raises UsageError for an id that is no check.
    """
    for id in ids:
        catalogue.find(id)
    chosen = [result for result in report.rows if (result.id in ids if ids else _is_repairable(result))]
    # the catalogue has causes before consequences
    chosen.sort(key=lambda result: result.status is Status.BLOCKED)
    proposals: list[Proposal] = []
    refusals: list[Refused] = []
    connection.execute("; ".join(["begin transaction read only", *_settings(None)]).encode())
    try:
        for result in chosen:
            proposed = {done.id for done in proposals if _concerns(done.job, result.job)}
            for found in _propose(connection, configuration, result, proposed, report, known):
                if isinstance(found, Refused):
                    refusals.append(found)
                else:
                    proposals.append(found)
    finally:
        if not connection.broken:
            connection.execute("rollback")
    aim = configuration.aim
    return Plan(tuple(proposals), tuple(replace(refused, hint=aim.at(refused.hint)) for refused in refusals))


def _concerns(job: str | None, other: str | None) -> bool:
    """Return whether what is done for one can end what fails for the other: for the same job, or for none."""
    return job is None or other is None or job == other


def script(proposal: Proposal) -> str:
    """Return a proposal as text that psql can run as it is."""
    notes = [f"-- {proposal.id}: {proposal.sentence}"]
    if proposal.restores:
        return notes[0] + "\n-- by the command alone: in SQL the value would be read by others\n"
    if proposal.destructive:
        notes.append("-- this deletes, drops or overwrites something: repair does it by consent alone")
    if proposal.in_batches:
        notes.append("-- in batches: what follows is one of them; repeat it until it answers 0")
    return "\n".join([*notes, *_transaction(proposal)]) + "\n"


def apply(
    connection: Connection,
    configuration: Configuration,
    proposals: Iterable[Proposal],
    say: Callable[[str], None] | None = None,
    known: KnownKey | None = None,
) -> tuple[Outcome, ...]:
    """Make the repairs in the order given and return what became of each; one that fails leaves nothing half done.

    Only batches that were done stay done. `say` receives progress messages. Raises only when the connection breaks.
    """
    outcomes: list[Outcome] = []
    for proposal in proposals:
        earlier = [done for done in outcomes if _concerns(done.job, proposal.job)]
        failed = {done.id for done in earlier if done.error}
        repaired = {done.id for done in earlier} - failed
        made = _make(connection, configuration, proposal, repaired, say, known)
        outcomes.append(replace(made, hint=configuration.aim.at(made.hint)) if made.hint else made)
    return tuple(outcomes)


def _make(
    connection: Connection,
    configuration: Configuration,
    proposal: Proposal,
    repaired: Collection[str],
    say: Callable[[str], None] | None,
    known: KnownKey | None,
) -> Outcome:
    outcome = Outcome(proposal.id, proposal.sentence, job=proposal.job)
    if missing := [id for id in proposal.after if id not in repaired]:
        return replace(
            outcome,
            skipped=True,
            error=f"not tried: {', '.join(missing)} explains it and was not repaired",
            hint=f"run: autosync-db repair {' '.join([*missing, proposal.id])}",
        )
    jobs = [proposal.job] if proposal.job else []
    if proposal.after and verify.run(connection, configuration, [proposal.id], jobs=jobs).status is Status.OK:
        return outcome  # the root cause was all there was to repair
    if say:
        say(f"{proposal.id}: {proposal.sentence}")
    try:
        if proposal.restores:
            # what was seen of them may have been changed by the repair of their cause
            seen = None if proposal.after else proposal.restores
            restoring.restore(connection, configuration, proposal.restores.keys(), proposal.job, known, say, seen=seen)
            return outcome
        return replace(outcome, rows=_run(connection, proposal, say))
    except AutosyncError as error:
        return replace(outcome, error=error.message, hint=error.hint)
    except psycopg.Error as error:
        if connection.broken:
            raise
        if (refused := event_triggers.explain(connection, error)) is not None:
            return replace(outcome, error=refused.message, hint=refused.hint)
        return replace(outcome, error=_message(error), hint=_hint(connection, error, proposal))


def recheck(
    connection: Connection,
    configuration: Configuration,
    outcomes: Iterable[Outcome],
    jobs: Collection[str] = (),
    patience: timedelta = SETTLING,
) -> Report:
    """Return a new health report; what was repaired is given some seconds to show, as a process takes to start."""
    repaired = {outcome.id for outcome in outcomes if outcome.error is None}
    deadline = time.monotonic() + patience.total_seconds()
    while repaired and time.monotonic() < deadline:
        if verify.run(connection, configuration, repaired, jobs=jobs).status is Status.OK:
            break
        time.sleep(_PAUSE_SECONDS)
    return verify.run(connection, configuration, jobs=jobs)


def _is_repairable(result: CheckResult) -> bool:
    # what another check says of the same objects is repaired with that one
    is_said_twice = bool(result.blocked_by) and set(result.blocked_by) <= set(result.check.overlaps)
    return result.check.repairable and result.verdict.status in _FAILING and not is_said_twice


def _remedy_of(id: str, job: str | None, report: Report) -> str | None:
    """Return the remedy of a check that explains a failure for a job, by its findings where the report has them."""
    found = (one.remedy for one in report.by_check.get(id, []) if one.status in _FAILING and _concerns(one.job, job))
    return next(found, catalogue.find(id).remedy)


def _propose(
    connection: Connection,
    configuration: Configuration,
    result: CheckResult,
    proposed: Collection[str],
    report: Report,
    known: KnownKey | None,
) -> list[Proposal | Refused]:
    """Return the proposals for one check, on one job where it speaks of jobs, or why there are none."""
    id, verdict = result.id, result.verdict

    def refused(kind: Kind, reason: str, hint: str) -> list[Proposal | Refused]:
        return [Refused(id, kind, reason, hint, result.job)]

    if verdict.status is Status.OK:
        return refused("healthy", "nothing to do: the check says ok", f"see: autosync-db explain {id}")
    if missing := [cause for cause in result.blocked_by if cause not in proposed]:
        first = catalogue.find(missing[0])
        way = (
            f"autosync-db repair {missing[0]} {id}" if first.repairable else _remedy_of(missing[0], result.job, report)
        )
        return refused("blocked", f"explained by {', '.join(missing)}, which must be repaired first", f"run: {way}")
    if result.check.repair is None:
        return refused("not_repairable", "cannot be repaired from here", f"its remedy: {result.remedy}")
    if verdict.status is Status.UNKNOWN or (result.check.speaks_of_jobs and result.job is None):
        return refused("unknown", verdict.summary, "let it look first: autosync-db verify")
    scene = Scene(connection, configuration, verdict, result.job, known)
    try:
        with connection.transaction():
            return [_finish(scene, result, draft) for draft in result.check.repair(scene)]
    except (psycopg.Error, AutosyncError) as error:
        if connection.broken:
            raise
        if isinstance(error, AutosyncError):
            return refused("refused", error.message, error.hint)
        return refused("refused", _message(error), "connect as the role that ran migrate")


def _finish(scene: Scene, result: CheckResult, draft: Repair | Restoration | Refusal) -> Proposal | Refused:
    """Turn a draft into text; it is refused when its statements need an owner that this session may not act as."""
    id = result.id
    if isinstance(draft, Refusal):
        return Refused(id, "refused", without_controls(draft.reason), without_controls(draft.hint), result.job)
    if isinstance(draft, Restoration):
        sentence = without_controls(draft.sentence)
        return Proposal(id, sentence, (), False, False, result.blocked_by, result.job, draft.seen)
    statements = [statement.as_string(scene.connection) for statement in draft.statements]
    owner = scene.owner
    if draft.as_owner and owner is not None and owner != scene.me:
        if not scene.may_act_as(owner):
            name, me = (sql.Identifier(role).as_string() for role in (owner, scene.me))
            return Refused(
                id,
                "refused",
                without_controls(f"{draft.sentence}: that is for the role {name} alone"),
                without_controls(f"connect as {name}; or, as a superuser, run: grant {name} to {me}"),
                result.job,
            )
        statements.insert(0, sql.SQL("set local role {}").format(sql.Identifier(owner)).as_string(scene.connection))
    return Proposal(
        id,
        without_controls(draft.sentence),
        tuple(statements),
        draft.destructive,
        draft.in_batches,
        result.blocked_by,
        result.job,
    )


def _settings(job: str | None) -> list[str]:
    settings = [
        f"set local lock_timeout = '{LOCK_TIMEOUT}'",
        f"set local statement_timeout = '{STATEMENT_TIMEOUT}'",
        "set local search_path = ''",
        *spelling.STATEMENTS.replace(";", "").splitlines(),
    ]
    return settings if job is None else [*settings, f"set local autosync.job = {sql.Literal(job).as_string()}"]


def _transaction(proposal: Proposal) -> list[str]:
    """Return the statements of one transaction, each with its semicolon."""
    # a migration, or another repair, may be at work
    lock = f"select pg_catalog.pg_advisory_xact_lock({ADVISORY_LOCK})"
    # where every session is read-only, so is this one, and what ends that would be refused
    lines = ["begin read write", *_settings(proposal.job), lock, *proposal.statements, "commit"]
    return [_ended(line) for line in lines]


def _ended(statement: str) -> str:
    # a comment at the end would swallow a semicolon on its line
    return statement + ("\n;" if "--" in statement.rpartition("\n")[2] else ";")


def _run(connection: Connection, proposal: Proposal, say: Callable[[str], None] | None) -> int | None:
    """Run the transaction, or the batches, and return how many rows these worked on."""
    lines = _transaction(proposal)
    if not proposal.in_batches:
        _execute(connection, lines)
        return None
    total = 0
    while worked := _execute(connection, lines):
        total += worked
        if say:
            say(f"{proposal.id}: {proposal.sentence} ({total} so far)")
    return total


def _execute(connection: Connection, lines: Sequence[str]) -> int:
    """Run one transaction, and again where it and another session waited for each other.

    The server ends one of the two then, and the other one goes on.
    """
    for _ in range(_ATTEMPTS - 1):
        with suppress(psycopg.errors.DeadlockDetected):
            return _execute_once(connection, lines)
    return _execute_once(connection, lines)


def _execute_once(connection: Connection, lines: Sequence[str]) -> int:
    """Run one transaction and return the number that the statement before `commit` answers, 0 when it answers none."""
    answer, ended = 0, False
    try:
        for line in lines[:-1]:
            cursor = connection.execute(line.encode())
            row = cursor.fetchone() if cursor.description else None
            answer = row[0] if row and isinstance(row[0], int) else 0
        connection.execute(lines[-1].encode())
        ended = True
    finally:
        # also when the user interrupts it: nothing may be left half done in an open transaction
        if not ended and not connection.broken:
            connection.execute("rollback")
    return answer


def _message(error: psycopg.Error) -> str:
    return without_controls(error.diag.message_primary or str(error) or type(error).__name__)


def _hint(connection: Connection, error: psycopg.Error, proposal: Proposal) -> str:
    """Return what to do about a refusal of the server; what it says itself knows best."""
    if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected):
        return "another session holds a lock: run it again, or find it with: select * from pg_stat_activity"
    if isinstance(error, psycopg.errors.QueryCanceled):
        return f"it took longer than {STATEMENT_TIMEOUT}: run it again when the server has less to do"
    if isinstance(error, psycopg.errors.InsufficientPrivilege):
        me = connection.execute("select quote_ident(current_user)").fetchall()[0][0]
        return error.diag.message_hint or (
            f"run it as the owner or a superuser, not as {me}: autosync-db repair {proposal.id} --database-url URL"
        )
    return error.diag.message_hint or f"read the page: autosync-db explain {proposal.id}"
