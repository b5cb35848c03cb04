"""Replace a secret so that at every moment one that works is in force, whoever is killed in between.

begin   one transaction: keep what is there, put the new value in force
prove   a real call through pg_net
finish  one transaction: forget the old value; or put back, one transaction: the old value is in force again

What is kept, and who works on it until when, is in autosync.secret_rotation. There is at most one rotation at a time;
one that was left unfinished is open to everybody once its lease has lapsed. No session state is used: transactions,
a table lock inside them, and a token, so that any pooler will do.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg
from psycopg.types.json import Jsonb

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.credentials import store
from autosync_db.errors import AutosyncError, CheckFailedError, SecretError, UsageError
from autosync_db.jobs import calls, registry
from autosync_db.jobs.calls import GRACE, Cause, Invocation
from autosync_db.progress import Reporter, Step
from autosync_db.secret import Secret
from autosync_db.supabase import address as project
from autosync_db.supabase import function as probe
from autosync_db.supabase import key
from autosync_db.supabase.function import Verdict

LEASE = timedelta(seconds=30)
_EXTEND_AFTER_SECONDS = 5
# dispatch() takes milliseconds; whatever reads the registry for longer is no tick
_READERS_PATIENCE_SECONDS = 10
_POLL_SECONDS = 0.05
_WANTS_JWT = ("UNAUTHORIZED_NO_AUTH_HEADER", "UNAUTHORIZED_INVALID_JWT_FORMAT")

_UNFINISHED = """
select r.name, r.fingerprint_before, r.fingerprint_after, r.started_at, r.started_by, r.application_name,
    host(r.client_address), r.lease_expires_at, r.lease_expires_at > clock_timestamp()
from autosync.secret_rotation as r
order by r.started_at, r.name
"""
# every dispatch() under way holds this lock from before it reads a secret until its calls are queued
_READERS = """
select l.virtualtransaction, l.pid
from pg_locks as l
where l.locktype = 'relation'
    and l.database = (select d.oid from pg_database as d where d.datname = current_database())
    and l.relation = 'autosync.job'::regclass
    and l.pid <> pg_backend_pid()
"""
_OLDER_CALLS = "select count(*) from autosync.invocation as i where i.outcome = 'pending' and i.id < %s"


@dataclass(frozen=True, slots=True)
class Subject:
    """A secret that can be rotated: its name in the store, its name in messages, the headers that carry it.

    `check` judges a value by its form, for the project ref that the stored address names, and raises SecretError.
    `advice` is what to do when the function refuses it.
    """

    name: str
    noun: str
    headers: Callable[[Secret], dict[str, str]]
    check: Callable[[Secret, str | None], object] = lambda value, project_ref: None
    advice: str = "check that the key belongs to this project and is enabled"


SERVICE_KEY = Subject(
    store.SERVICE_KEY,
    "service key",
    key.headers,
    lambda value, project_ref: key.inspect(value, project_ref=project_ref),
)


@dataclass(frozen=True, slots=True)
class Change:
    """One name under rotation, with the fingerprints of the old and the new value; of a setting, the values."""

    name: str
    fingerprint_before: str | None
    fingerprint_after: str | None


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that was begun or taken over: new values are in force and not proven yet."""

    token: UUID
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One name whose value in force is not proven, and who stored it; `is_live`: somebody still works on it."""

    name: str
    fingerprint_before: str | None
    fingerprint_after: str | None
    started_at: datetime
    started_by: str
    application_name: str
    client_address: str | None
    lease_expires_at: datetime
    is_live: bool


@dataclass(frozen=True, slots=True)
class Proof:
    """What a call with the values in force showed; `note` is what the operator should know besides."""

    verdict: Verdict
    summary: str
    answers: tuple[Invocation, ...] = ()
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """How a rotation ended: `rotated`, `unchanged`, `finished`, `put back`, or `nothing` when none was unfinished.

    `generated`: a new cron secret is stored beside the one in force, and nothing is rotated yet.
    """

    outcome: str
    changes: tuple[Change, ...] = ()
    preflight: str | None = None
    proof: str | None = None
    note: str | None = None


KeepAlive = Callable[[], None]
# the second argument is called while waiting, so that nobody takes the rotation for abandoned
Prove = Callable[[Connection, KeepAlive], Proof]


def by_dispatch(configuration: Configuration, say: Callable[[str], None]) -> Prove:
    """Return the proof by a real tick through pg_net, which also waits until no older call is left to be sent.

    A refusal of one call is a refusal; else one success is enough.
    """
    name, timeout = configuration.settings.job.name, configuration.settings.job.timeout

    def prove(connection: Connection, keep_alive: KeepAlive) -> Proof:
        note = _wait_for_readers(connection, keep_alive)
        try:
            tick_id = registry.trigger(connection, name)
        except CheckFailedError as error:
            return Proof(Verdict.UNCLEAR, error.message)
        patience = timeout + GRACE

        def waiting(waited: timedelta) -> None:
            keep_alive()
            say(f"waiting for the function's answer ({waited.total_seconds():.0f} s)")

        answers = calls.wait(connection, name, tick_id, patience, waiting)
        verdict, summary = _judge(answers)
        if verdict is Verdict.ACCEPTED:
            note = note or _wait_for_older_calls(connection, min(answer.id for answer in answers), patience, keep_alive)
        return Proof(verdict, summary, tuple(answers), note)

    return prove


def replace(
    configuration: Configuration,
    subject: Subject,
    value: Secret,
    *,
    preflight: bool = True,
    prove: Prove | None = None,
    reporter: Reporter,
) -> Result:
    """Put `value` in force and prove it; a value that is wrong by its form is refused before anything is asked.

    Raises SecretError when the function does not accept it, or when there is none to replace; the old one is in force
    then. What an earlier rotation left unproven is replaced with it, and what that one kept is what is put back.
    """
    prove = prove or by_dispatch(configuration, reporter.doing)
    with connect(configuration.target.database_url) as connection:
        reporter.doing("looking at what is stored")
        store.require_history(connection)
        require_store(connection, configuration)
        registry.find(connection, configuration.settings.job.name)
        left = unfinished(connection)
        _refuse_while_live(left)
        if subject.name not in store.needed(connection, configuration.settings.job.name):
            raise UsageError(
                f"no call shows the {subject.noun}, so none could prove a new one",
                hint="see [function] auth of the settings, and what the job uses: autosync-db secrets list",
            )
        before = store.stored(connection).get(subject.name)
        if before is None:
            raise SecretError(
                f"no {subject.noun} is stored, so there is none to replace",
                hint="store the first one with: autosync-db setup",
            )
        if not left and before.fingerprint == key.fingerprint(value):
            return Result("unchanged", (Change(subject.name, before.fingerprint, before.fingerprint),))
        address = store.project_url(connection)
        if address is None:
            raise SecretError("no project URL is stored", hint="store it with: autosync-db setup")
        subject.check(value, project.ref_of(address))
        asked = _preflight(configuration, address, subject, value, reporter) if preflight else None

        token = uuid4()
        # what the server refuses to begin leaves nothing behind, but an interrupt may come while it commits
        with undone_when_interrupted(configuration, token, interrupts=(KeyboardInterrupt, SystemExit)):
            reporter.doing("storing the new one beside the old one")
            begun = begin(connection, {subject.name: value}, token=token)
            if begun is None:
                return Result("unchanged", (Change(subject.name, before.fingerprint, before.fingerprint),), asked)
            proof = prove_or_put_back(connection, configuration, begun, prove, reporter, noun=f"new {subject.noun}")
        return Result("rotated", begun.changes, asked, proof.summary, proof.note)


def prove_or_put_back(
    connection: Connection,
    configuration: Configuration,
    begun: Rotation,
    prove: Prove,
    reporter: Reporter,
    *,
    noun: str,
) -> Proof:
    """Finish a rotation by its proof. Raises SecretError when there is none; what was there before is in force then."""
    with undone_when_interrupted(configuration, begun.token):
        reporter.done(Step("store", f"{_shown(begun.changes)}; the old one is kept until the new one is proven", True))
        reporter.doing("making a real call through pg_net")
        proof = prove(connection, keeper(connection, begun.token))
    if proof.verdict is Verdict.ACCEPTED:
        finish(connection, begun.token)
        reporter.done(Step("prove", f"{proof.summary}: the {noun} works and is in force", True))
        return proof
    put_back(connection, begun.token)
    raise unproven(proof, noun, "what was stored before is back in force")


def unproven(proof: Proof, noun: str, state: str) -> SecretError:
    """Return the error of a proof that failed; `state` says what is in force."""
    if proof.verdict is Verdict.REFUSED:
        return SecretError(
            f"the function refused the {noun} with {proof.summary}; {state}",
            hint=_advice(proof.summary, "check that the key belongs to this project and is enabled"),
        )
    return SecretError(
        f"the {noun} could not be proven: {proof.summary}; {state}", hint="find the cause with: autosync-db verify"
    )


def begin(
    connection: Connection,
    values: Mapping[str, Secret],
    settings: Mapping[str, Any] | None = None,
    *,
    token: UUID | None = None,
) -> Rotation | None:
    """Put `values` and rows of autosync.setting in force, in one transaction that keeps what was there.

    Returns None when nothing differed. A rotation whose lease has lapsed is taken over: what it kept stays what
    put_back() returns to. Raises SecretError when somebody else's lease lasts, or a value is refused; nothing has
    changed then.
    """
    token = token or uuid4()
    with store.refusals(), connection.transaction():
        connection.execute(store.SHORT_LOCKS)
        store.send(connection, values)
        rows = connection.execute(
            "select b.name, b.fingerprint_before, b.fingerprint_after from autosync.begin_rotation(%s, %s, %s) as b",
            [token, LEASE, Jsonb(dict(settings or {}))],
        ).fetchall()
    return Rotation(token, tuple(Change(*row) for row in rows)) if rows else None


def finish(connection: Connection, token: UUID) -> None:
    """End a rotation whose values are proven: the old ones are deleted.

    Raises SecretError when somebody else took it over; that one decides then.
    """
    _end(connection, "autosync.finish_rotation", token)


def put_back(connection: Connection, token: UUID) -> None:
    """End a rotation by putting back what was there before. Raises SecretError when somebody else took it over."""
    _end(connection, "autosync.put_back_rotation", token)


def resume(configuration: Configuration, *, prove: Prove | None = None, reporter: Reporter) -> Result:
    """Prove what an unfinished rotation left in force and finish it, or put back what it kept and raise SecretError."""
    prove = prove or by_dispatch(configuration, reporter.doing)
    with connect(configuration.target.database_url) as connection:
        store.require_history(connection)
        left, taken = _take_over(connection)
        if taken is None:
            return Result("nothing")
        since = f"{left[0].started_at:%Y-%m-%d %H:%M:%S} UTC"
        with _released_when_interrupted(configuration, taken.token):
            reporter.done(Step("resume", f"{_shown(taken.changes)}, not proven since {since}", False))
            reporter.doing("making a real call through pg_net")
            proof = prove(connection, keeper(connection, taken.token))
        if proof.verdict is Verdict.ACCEPTED:
            finish(connection, taken.token)
            return Result("finished", taken.changes, None, proof.summary, proof.note)
        put_back(connection, taken.token)
    raise unproven(proof, "new value of " + _names(taken.changes), "what was stored before is back in force")


def abort(configuration: Configuration) -> Result:
    """Put back what an unfinished rotation kept, without any call."""
    with connect(configuration.target.database_url) as connection:
        store.require_history(connection)
        _, taken = _take_over(connection)
        if taken is None:
            return Result("nothing")
        put_back(connection, taken.token)
        return Result("put back", taken.changes)


def release(connection: Connection, token: UUID) -> None:
    """Leave a rotation to whoever comes next: its lease ends now."""
    connection.execute("select autosync.extend_rotation(%s, %s)", [token, timedelta()])


def kept(connection: Connection, name: str) -> Secret | None:
    """Return what an unfinished rotation of `name` would put back, None when there is no such value."""
    if connection.execute("select to_regclass('autosync.secret_rotation') is null").fetchone() == (True,):
        return None
    row = connection.execute(
        "select r.kept, r.previous from autosync.secret_rotation as r where r.name = %s", [name]
    ).fetchone()
    if row is not None and row[0] == "vault":
        row = connection.execute(
            "select v.name, v.decrypted_secret from vault.decrypted_secrets as v where v.name = %s",
            [f"{name}.previous"],
        ).fetchone()
    return None if row is None or row[1] is None else Secret(row[1].strip())


def unfinished(connection: Connection) -> tuple[Unfinished, ...]:
    """Return every name whose value in force is not proven, oldest first. Reads only."""
    if connection.execute("select to_regclass('autosync.secret_rotation') is null").fetchone() == (True,):
        return ()
    return tuple(Unfinished(*row) for row in connection.execute(_UNFINISHED.encode()).fetchall())


def keeper(connection: Connection, token: UUID) -> KeepAlive:
    """Return what extends the lease of a rotation when called, every few seconds at most.

    It raises SecretError when somebody else took the rotation over meanwhile.
    """
    extended = time.monotonic()

    def keep() -> None:
        nonlocal extended
        if time.monotonic() - extended < _EXTEND_AFTER_SECONDS:
            return
        if connection.execute("select autosync.extend_rotation(%s, %s)", [token, LEASE]).fetchone() != (True,):
            raise _taken_over()
        extended = time.monotonic()

    return keep


def require_store(connection: Connection, configuration: Configuration) -> None:
    """Return if the secrets are where the settings say. Raises UsageError if they say so and it is not so."""
    settings = configuration.settings
    if "secrets" not in settings.model_fields_set:
        return
    found = store.store_of(connection)
    if found != settings.secrets.store:
        raise UsageError(
            f'the settings say [secrets] store = "{settings.secrets.store}", but the secrets are in the {found}',
            hint="move them with: autosync-db setup",
        )


def require_idle(connection: Connection) -> None:
    """Return if nobody is at work on a rotation. Raises SecretError that says who is, and since when."""
    _refuse_while_live(unfinished(connection))


def require_settled(connection: Connection, name: str) -> None:
    """Return if no rotation is unfinished that a change of `name` would disturb. Raises SecretError if one is."""
    left = unfinished(connection)
    _refuse_while_live(left)
    for one in left:
        if one.name == name or one.name.startswith("setting:"):
            raise SecretError(
                f'a rotation of "{one.name}" is not finished since {one.started_at:%Y-%m-%d %H:%M:%S} UTC',
                hint="finish it with: autosync-db rotate --resume",
            )


def _preflight(configuration: Configuration, address: str, subject: Subject, value: Secret, reporter: Reporter) -> str:
    settings = configuration.settings.job
    reporter.doing("asking the function directly")
    found = probe.ask(address, settings.function, subject.headers(value), settings.timeout)
    if found.verdict is Verdict.ACCEPTED:
        reporter.done(Step("ask", f"the function accepts the new {subject.noun} ({found.summary})", False))
        return found.summary
    if found.verdict is Verdict.REFUSED:
        raise SecretError(
            f"the function refused the new {subject.noun} with {found.summary}; nothing was changed",
            hint=_advice(found.summary, subject.advice),
        )
    raise SecretError(
        f"the function did not say whether it accepts the new {subject.noun}: {found.summary}; nothing was changed",
        hint="find the cause with autosync-db verify, or pass --no-preflight",
    )


def _advice(summary: str, otherwise: str) -> str:
    """Return what to do about a refusal: a gateway that asks for a JWT lets no other credential through."""
    if any(code in summary for code in _WANTS_JWT):
        return "deploy the function with verify_jwt = false: its gateway asks for a JWT, which this is not"
    return otherwise


def _judge(answers: list[Invocation]) -> tuple[Verdict, str]:
    refused = [answer for answer in answers if answer.cause is Cause.KEY]
    accepted = [answer for answer in answers if answer.cause is Cause.OK]
    if refused:
        return Verdict.REFUSED, refused[0].summary
    if accepted:
        return Verdict.ACCEPTED, accepted[0].summary
    return Verdict.UNCLEAR, "; ".join(sorted({answer.summary for answer in answers})) or "no call was made"


def _wait_for_readers(connection: Connection, keep_alive: KeepAlive) -> str | None:
    """Return when every transaction has ended that may have read the old value and not queued its call yet."""
    old = set(connection.execute(_READERS.encode()).fetchall())
    deadline = time.monotonic() + _READERS_PATIENCE_SECONDS
    while old:
        if time.monotonic() > deadline:
            first = min(pid for _, pid in old)
            return f"a transaction that is older (pid {first}) may still make a call with the old one"
        keep_alive()
        time.sleep(_POLL_SECONDS)
        old &= set(connection.execute(_READERS.encode()).fetchall())
    return None


def _wait_for_older_calls(
    connection: Connection, first_id: int, patience: timedelta, keep_alive: KeepAlive
) -> str | None:
    """Return when every call that was queued before the proof, with whatever credential, has its outcome."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        row = connection.execute(_OLDER_CALLS, [first_id]).fetchone()
        if row is None or row[0] == 0:
            return None
        if time.monotonic() > deadline:
            return f"{row[0]} older calls have no outcome yet: let the old one be valid until they have"
        keep_alive()
        time.sleep(_POLL_SECONDS)
        connection.execute("select autosync.settle()")


def _take_over(connection: Connection) -> tuple[tuple[Unfinished, ...], Rotation | None]:
    token = uuid4()
    with store.refusals(), connection.transaction():
        connection.execute(store.SHORT_LOCKS)
        connection.execute("select autosync.take_over_rotation(%s, %s)", [token, LEASE])
        left = unfinished(connection)
    changes = tuple(Change(one.name, one.fingerprint_before, one.fingerprint_after) for one in left)
    return left, Rotation(token, changes) if left else None


def _end(connection: Connection, function: str, token: UUID) -> None:
    try:
        with store.refusals(), connection.transaction():
            connection.execute(store.SHORT_LOCKS)
            row = connection.execute(f"select {function}(%s)".encode(), [token]).fetchone()
    except SecretError as error:
        if not isinstance(error.__cause__ or error.__context__, psycopg.errors.LockNotAvailable):
            raise
        raise SecretError(
            "another session holds a lock on the secrets, so the rotation is left unfinished",
            hint="end its transaction, then run: autosync-db rotate --resume",
        ) from None
    if row == (0,):
        raise _taken_over()


def _taken_over() -> SecretError:
    return SecretError("another rotation took this one over", hint="see who and when with: autosync-db secrets history")


def _refuse_while_live(left: tuple[Unfinished, ...]) -> None:
    """Raise SecretError when somebody is at work, before anything is asked or changed."""
    for one in left:
        if one.is_live:
            raise SecretError(
                f'a rotation of "{one.name}" is under way since {one.started_at:%Y-%m-%d %H:%M:%S} UTC, by '
                f"{one.started_by} ({one.application_name or 'no application name'}, "
                f"{one.client_address or 'local socket'})",
                hint=f"wait for it; if it died, its lease ends at {one.lease_expires_at:%H:%M:%S} UTC",
            )


@contextmanager
def undone_when_interrupted(
    configuration: Configuration,
    token: UUID,
    *,
    interrupts: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt, SystemExit),
) -> Iterator[None]:
    """Put back what was there before when the block is left by one of `interrupts`, and raise that again."""
    try:
        yield
    except interrupts:
        try:
            # the other connection may be in the middle of a statement
            with (
                connect(configuration.target.database_url) as connection,
                store.refusals(),
                connection.transaction(),
            ):
                connection.execute(store.SHORT_LOCKS)
                connection.execute("select autosync.put_back_rotation(%s)", [token])
        except AutosyncError as failure:
            raise SecretError(
                f"interrupted, and it is not known whether the old value is back in force: {failure.message}",
                hint="see what is in force with autosync-db verify, then run: autosync-db rotate --resume",
            ) from None
        raise


@contextmanager
def _released_when_interrupted(configuration: Configuration, token: UUID) -> Iterator[None]:
    """Let whoever comes next go on at once when the block is left early; what is in force stays, unproven as before."""
    try:
        yield
    except BaseException:
        # the other connection may be in the middle of a statement; where none can be made the lease lapses by itself
        with suppress(AutosyncError), connect(configuration.target.database_url) as connection:
            release(connection, token)
        raise


def _shown(changes: tuple[Change, ...]) -> str:
    return ", ".join(
        f"{change.name} {change.fingerprint_before or '(none)'} -> {change.fingerprint_after}" for change in changes
    )


def _names(changes: tuple[Change, ...]) -> str:
    return " and ".join(change.name for change in changes)
