"""Run a tick of a job, and see what became of its calls and which layer answered.

Rows come from autosync.recent_outcomes(), which also classifies them (autosync.classify()).
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import psycopg
from psycopg.rows import kwargs_row

from autosync_db.connection import Connection, absent, value
from autosync_db.errors import CheckFailedError
from autosync_db.jobs import registry

_RECENT = """
    select cast(%(job)s as text) as job, id, tick_id, request_id, queued_at, settled_at, timeout_milliseconds, outcome,
        status_code, error_code, error_message, body_excerpt, cause, answered_by, proof
    from autosync.recent_outcomes(%(job)s, %(limit)s)
"""
# the newest calls of each job, up to the limit, and all calls since the given number, up to a maximum
_OF_JOBS = """
    select n.name as job, id, tick_id, request_id, queued_at, settled_at, timeout_milliseconds, outcome,
        status_code, error_code, error_message, body_excerpt, cause, answered_by, proof
    from unnest(cast(%(jobs)s as text[])) as n (name)
    cross join lateral autosync.recent_outcomes(n.name, greatest(%(limit)s, least(1000, (
        select cast(count(*) as integer)
        from autosync.invocation as i
        where i.job_id = (select j.id from autosync.job as j where j.name = n.name) and i.id >= %(first)s
    ))))
    order by queued_at desc, id desc
"""
# as many of the newest as there are since the tick's first
_SINCE_TICK = """(
    select cast(count(*) as integer)
    from autosync.invocation as i
    where i.job_id = (select j.id from autosync.job as j where j.name = %(job)s)
        and i.id >= (select min(first.id) from autosync.invocation as first where first.tick_id = %(tick)s)
)"""
# by a range, as recent_outcomes() does: a rare job is not looked for among all others
_NEWER_TICKS = """
    select t.id
    from (select j.id from autosync.job as j where j.name = %s) as j
    cross join lateral (
        select k.id
        from autosync.tick as k
        where k.job_id between j.id and j.id and k.id > %s
        order by k.job_id, k.id
        limit 1
    ) as t
"""
_NEWEST_TICK = """
    select coalesce((
        select t.id
        from autosync.job as j
        cross join lateral (
            select k.id
            from autosync.tick as k
            where k.job_id between j.id and j.id
            order by k.job_id desc, k.id desc
            limit 1
        ) as t
        where j.name = %s
    ), 0)
"""
_OF_TICK = _RECENT.replace("%(limit)s", _SINCE_TICK) + "where tick_id = %(tick)s"
# how long after the call's own timeout an answer may still be on its way through pg_net
GRACE = timedelta(seconds=15)
# answers that neither state nor deny that the run went well
UNPROVEN = frozenset({"empty", "text", "silent", "long"})
# how much of an answer is shown
_WORDS = 160
# most answers come at once, some take minutes
_FIRST_POLL_SECONDS, _POLL_SECONDS = 0.02, 0.2


class Cause(StrEnum):
    """Which part of the chain a request's outcome speaks of."""

    OK = "ok"
    PENDING = "pending"
    KEY = "key"  # the gateway or the function refused the credential
    MISSING = "missing"  # the function is not deployed
    GATEWAY = "gateway"  # a gateway or firewall answered, the function never ran
    PAGE = "page"  # a web page answered in its place
    FUNCTION = "function"  # the function ran and failed
    SLOW = "slow"  # no answer within the timeout
    NETWORK = "network"  # no HTTP answer at all
    LOST = "lost"  # pg_net forgot the request


@dataclass(frozen=True, slots=True)
class Invocation:
    """One request of the ledger with its outcome as known now."""

    job: str
    id: int
    tick_id: int
    request_id: int
    queued_at: datetime
    settled_at: datetime | None
    timeout_milliseconds: int
    outcome: str
    status_code: int | None
    error_code: str | None
    error_message: str | None
    body_excerpt: str | None
    cause: Cause
    answered_by: str | None = None
    proof: str | None = None

    @property
    def is_unproven(self) -> bool:
        """Whether the answer neither states nor denies that the run went well."""
        return self.proof in UNPROVEN

    @property
    def summary(self) -> str:
        """Return the outcome in a few words: `200`, `401 UNAUTHORIZED_LEGACY_JWT`, or pg_net's own error text.

        A status of success is followed by what the answer says against it, or by `unproven` where it says nothing.
        """
        if self.status_code is None:
            went_along = "; its key went there, too" if self.error_code == "REDIRECTED_WITH_KEY" else ""
            return (self.error_message or self.outcome) + went_along
        text = f"{self.status_code} {self.error_code or ''}".rstrip()
        if self.outcome == "failed" and self.error_message:
            return f"{text}: {self.error_message[:160]}"
        return f"{text}, unproven" if self.is_unproven else text

    @property
    def account(self) -> str:
        """Return the outcome and, of one that is no success, who answered in what words; keys in them are masked."""
        if self.cause in {Cause.OK, Cause.PENDING} or self.status_code is None:
            return self.summary
        who = self.answered_by or ("the function" if self.cause is Cause.FUNCTION else "")
        words = " ".join((self.body_excerpt or "").split())[:_WORDS]
        said = f"{who}: {words}" if who and words else who or words
        return f"{self.summary} ({said})" if said else self.summary


def is_failure(call: Invocation) -> bool:
    """Whether a call is over and did not succeed."""
    return call.cause not in {Cause.OK, Cause.PENDING}


def trigger(connection: Connection, job_name: str, *, force: bool = True) -> int:
    """Run one tick now and return its id; with `force` it makes a call even when nothing is due or the job is paused.

    Raises CheckFailedError with the message that pg_cron would record of a failed run, and what registry.find() raises
    for a job that does not exist.
    """
    registry.find(connection, job_name)
    try:
        return int(value(connection, "select autosync.dispatch(%s, %s)", [job_name, force]))
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        # ours is another one at an earlier revision; pg_net's may be gone, too
        if isinstance(error, psycopg.errors.UndefinedFunction) and (found := absent.explain(connection)) is not None:
            raise found from error
        raise CheckFailedError(
            f"the tick failed: {error.diag.message_primary}",
            hint=error.diag.message_hint or "find the cause with: autosync-db verify",
        ) from error


def trigger_and_wait(
    connection: Connection,
    job_name: str,
    timeout: timedelta,
    say: Callable[[str], None] | None = None,
    *,
    force: bool = True,
) -> tuple[int, list[Invocation]]:
    """Run one tick as trigger() does; return its id, and its calls once all are answered or `timeout` has passed.

    `timeout` is that of a call; GRACE comes on top. `say` is called before each look with the time waited, in words.
    """
    tick_id = trigger(connection, job_name, force=force)

    def waiting(waited: timedelta) -> None:
        if say:
            say(f"waiting for the function's answer ({waited.total_seconds():.0f} s)")

    return tick_id, wait(connection, job_name, tick_id, timeout + GRACE, waiting)


def recent(connection: Connection, job_name: str, limit: int = 20) -> list[Invocation]:
    """Return the newest requests of a job, newest first. Reads only."""
    with connection.cursor(row_factory=kwargs_row(_invocation)) as cursor:
        return cursor.execute(_RECENT, {"job": job_name, "limit": limit}).fetchall()


def of_jobs(connection: Connection, names: Sequence[str], limit: int = 20) -> list[Invocation]:
    """Return the newest requests of several jobs together, newest first. Reads only."""
    return of_each(connection, names, limit)[:limit]


def of_each(
    connection: Connection, names: Sequence[str], limit: int = 1, *, first: int | None = None
) -> list[Invocation]:
    """Return `limit` requests of each job, and all since the number `first`, newest first. Reads only, at once."""
    with connection.cursor(row_factory=kwargs_row(_invocation)) as cursor:
        return cursor.execute(_OF_JOBS, {"jobs": list(names), "limit": limit, "first": first}).fetchall()


def of_tick(connection: Connection, job_name: str, tick_id: int) -> list[Invocation]:
    """Return all requests of one tick, newest first, however many came after them. Reads only."""
    with connection.cursor(row_factory=kwargs_row(_invocation)) as cursor:
        return cursor.execute(_OF_TICK, {"job": job_name, "tick": tick_id}).fetchall()


def wait(
    connection: Connection,
    job_name: str,
    tick_id: int,
    patience: timedelta,
    on_wait: Callable[[timedelta], None] | None = None,
) -> list[Invocation]:
    """Return the requests of a tick once none is pending, or as they are when `patience` ends.

    Settles what pg_net has, so that the outcome is durable. `on_wait` gets the time waited, before each look.
    """
    started, pause = time.monotonic(), _FIRST_POLL_SECONDS
    while True:
        waited = timedelta(seconds=time.monotonic() - started)
        if on_wait:
            on_wait(waited)
        connection.execute("select autosync.settle()")
        found = of_tick(connection, job_name, tick_id)
        # an answer may have come between settling and looking: it is waited for until it is durable
        if all(row.settled_at is not None for row in found) or waited >= patience:
            return found
        time.sleep(pause)
        pause = min(_POLL_SECONDS, pause * 1.5)


def wait_for_next_tick(
    connection: Connection,
    job_name: str,
    patience: timedelta,
    on_wait: Callable[[timedelta], None] | None = None,
) -> bool:
    """Return whether a tick that began after now has settled within `patience`. Reads only."""
    started = time.monotonic()
    newest = value(connection, _NEWEST_TICK, [job_name])
    while (waited := timedelta(seconds=time.monotonic() - started)) < patience:
        if on_wait:
            on_wait(waited)
        newer = value(
            connection,
            _NEWER_TICKS,
            [job_name, newest],
        )
        if newer and all(call.cause is not Cause.PENDING for call in of_tick(connection, job_name, newer)):
            return True
        time.sleep(_POLL_SECONDS)
    return False


def _invocation(*, cause: str, **values: Any) -> Invocation:
    return Invocation(cause=Cause(cause), **values)


def require_success(answers: Sequence[Invocation]) -> None:
    """Raise CheckFailedError unless every answer is a success."""
    hint = "find the cause with: autosync-db verify"
    for answer in answers:
        if answer.outcome == "accepted":
            raise CheckFailedError(
                "the function answered 202 and has not reported yet",
                hint=f"see later what it reports: autosync-db runs show {answer.id}",
            )
        if answer.cause is Cause.PENDING:
            raise CheckFailedError(f"pg_net has no answer to request {answer.request_id} yet", hint=hint)
        if answer.cause is not Cause.OK:
            raise CheckFailedError(f"the call did not succeed: {answer.account}", hint=hint)
