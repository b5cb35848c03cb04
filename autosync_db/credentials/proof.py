"""The proof of a new secret: a real call through pg_net that succeeds, and no call left that carries the old one."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from autosync_db.config import Configuration
from autosync_db.connection import Connection, value
from autosync_db.credentials import lease
from autosync_db.credentials.lease import KeepAlive
from autosync_db.errors import CheckFailedError, ConflictError, SecretError
from autosync_db.jobs import calls, readers
from autosync_db.jobs.calls import GRACE, Cause, Invocation
from autosync_db.supabase.function import Verdict

_POLL_SECONDS = 0.05
CHECK_KEY = "check that the key belongs to this project and is enabled"
_WANTS_JWT = {"UNAUTHORIZED_NO_AUTH_HEADER", "UNAUTHORIZED_INVALID_JWT_FORMAT"}

_OLDER_CALLS = "select count(*) from autosync.invocation as i where i.outcome = 'pending' and i.id < %s"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a call with the active values showed; `note` is what the operator should know besides."""

    verdict: Verdict
    summary: str
    answers: tuple[Invocation, ...] = ()
    note: str | None = None


# the second argument is called while waiting, so that nobody takes the rotation for abandoned
Prove = Callable[[Connection, KeepAlive], Proof]


def by_dispatch(configuration: Configuration, say: Callable[[str], None]) -> Prove:
    """Return the proof by a real tick through pg_net, which also waits until no older call is left to be sent.

    A refusal of one call is a refusal; else one success is enough.
    """
    name, timeout = configuration.settings.main.name, configuration.settings.main.patience

    def prove(connection: Connection, keep_alive: KeepAlive) -> Proof:
        def waiting(text: str) -> None:
            keep_alive()
            say(text)

        note = _wait_for_readers(connection, keep_alive)
        try:
            _, answers = calls.trigger_and_wait(connection, name, timeout, waiting)
        except CheckFailedError as error:
            return Proof(Verdict.UNCLEAR, error.message)
        verdict, summary = _judge(answers)
        if verdict is Verdict.ACCEPTED and note is None:
            first_id = min(answer.id for answer in answers)
            note = _wait_for_older_calls(connection, first_id, timeout + GRACE, keep_alive)
        return Proof(verdict, summary, tuple(answers), note)

    return prove


def conclude(connection: Connection, token: UUID, proof: Proof, noun: str, *, leave_unclear: bool = False) -> None:
    """End a rotation as its proof demands: the new value stays, or the previous one is active again.

    Raises SecretError when it is put back, ConflictError as lease.finish() does. `leave_unclear`: what proves nothing
    leaves the rotation open and the new value active, for a project where the previous one did not work either.
    """
    if proof.verdict is Verdict.ACCEPTED:
        lease.finish(connection, token)
    elif proof.verdict is Verdict.UNCLEAR and leave_unclear:
        lease.release(connection, token)
    else:
        said = f"the function refused the {noun} with {proof.summary}"
        hint = advice({answer.error_code for answer in proof.answers})
        if proof.verdict is Verdict.UNCLEAR:
            said = f"the {noun} could not be proven: {proof.summary}"
            hint = "find the cause with: autosync-db verify"
        try:
            lease.put_back(connection, token)
        except ConflictError as conflict:
            conflict.add(said)
            raise
        raise SecretError(f"{said}; the previous value is active again", hint=hint)


def advice(error_codes: set[str | None], otherwise: str = CHECK_KEY) -> str:
    """Return what to do about a refusal: a gateway that asks for a JWT lets no other credential through."""
    if error_codes & _WANTS_JWT:
        return "deploy the function with verify_jwt = false: its gateway asks for a JWT, which this is not"
    return otherwise


def _judge(answers: list[Invocation]) -> tuple[Verdict, str]:
    refused = [answer for answer in answers if answer.cause is Cause.KEY]
    accepted = [answer for answer in answers if answer.cause is Cause.OK]
    if refused:
        return Verdict.REFUSED, refused[0].account
    if accepted:
        return Verdict.ACCEPTED, accepted[0].summary
    return Verdict.UNCLEAR, "; ".join(sorted({answer.account for answer in answers})) or "no call was made"


def _wait_for_readers(connection: Connection, keep_alive: KeepAlive) -> str | None:
    """Return when every transaction has ended that may have read the old value and not queued its call yet."""
    left = readers.wait(connection, keep_alive)
    return None if left is None else f"a transaction that is older (pid {left}) may still make a call with the old one"


def _wait_for_older_calls(
    connection: Connection, first_id: int, patience: timedelta, keep_alive: KeepAlive
) -> str | None:
    """Return when every call that was queued before the proof, with whatever credential, has its outcome."""
    deadline = time.monotonic() + patience.total_seconds()
    while True:
        left = value(connection, _OLDER_CALLS, [first_id])
        if left == 0:
            return None
        if time.monotonic() > deadline:
            return f"{left} older calls have no outcome yet: keep the old one valid until they have"
        keep_alive()
        time.sleep(_POLL_SECONDS)
        connection.execute("select autosync.settle()")
