"""What an audit reads: a few bounded queries (sql/audit), each of which may be refused without ending the others."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

from autosync_db import resources
from autosync_db.connection import Connection
from autosync_db.jobs import answerers, answers, found, twins
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.twins import Functions
from autosync_db.plain import clean
from autosync_db.supabase import key

STATEMENT_TIMEOUT = "15s"
LOCK_TIMEOUT = "1s"
_EXCERPT = 160
_MANY = "the others are too many or too long"


@dataclass(frozen=True, slots=True)
class Context:
    """Where and as whom the audit looks, and what is there."""

    role: str
    database: str
    pg_cron: str | None
    pg_net: str | None
    has_jobs: bool
    has_answers: bool
    has_ledger: bool
    has_messages: bool
    trusts_ledger: bool
    has_scheduler: bool
    has_worker: bool
    sees_all_processes: bool
    cron_timezone: str | None
    cron_database: str | None
    cron_log_run: str | None
    pg_net_ttl: str | None
    is_replica: bool
    history_bytes: int | None
    database_bytes: int


@dataclass(frozen=True, slots=True)
class Runs:
    """How the newest runs of a job ended, and when the oldest of all that were looked at began."""

    runs: int
    failed_in_a_row: int
    failed_of_ten: int
    failing_since: datetime | None
    message: str
    last_start: datetime | None
    last_status: str | None
    since: datetime | None


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer that pg_net keeps: `fault` is None where it is good, `is_proven` where the answer itself says so."""

    created: datetime
    fault: str | None
    excerpt: str
    is_proven: bool


@dataclass(slots=True)
class Seen:
    """All that was read; `unseen` says what could not be, with the reason."""

    context: Context
    jobs: list[FoundJob] = field(default_factory=list)
    runs: dict[int, Runs] = field(default_factory=dict)
    starts: list[tuple[int, datetime]] = field(default_factory=list)
    answers: list[Answered] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    functions: Functions = field(default_factory=lambda: Functions(()))
    unseen: list[str] = field(default_factory=list)


@contextmanager
def looking(connection: Connection) -> Iterator[None]:
    """Look within one read-only transaction that ends without a trace."""
    connection.execute(
        b"begin transaction read only;"
        b" select set_config('statement_timeout', '%(statement)s', true), set_config('lock_timeout', '%(lock)s', true),"
        b" set_config('search_path', '', true), set_config('jit', 'off', true),"
        b" set_config('idle_in_transaction_session_timeout', '0', true)"
        % {b"statement": STATEMENT_TIMEOUT.encode(), b"lock": LOCK_TIMEOUT.encode()}
    )
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("rollback")


def read(connection: Connection) -> Seen:
    """Read what there is, within looking(). What is refused is said in `unseen`."""
    [context] = _rows(connection, "context")
    seen = Seen(Context(**context))
    if not seen.context.has_jobs:
        return seen
    with _allowed(connection, seen, "cron.job, so no job was seen"):
        seen.jobs = found.jobs(connection)
        if found.hides_others(connection):
            seen.unseen.append(f"jobs of other roles are hidden from {seen.context.role}")
    with _allowed(connection, seen, "cron.job_run_details, so no run was seen"):
        seen.runs = {row.pop("jobid"): Runs(**row) for row in _rows(connection, "runs")}
    if seen.context.has_answers:
        with _allowed(connection, seen, "net._http_response, so no answer was seen"):
            seen.answers = list(_answers(connection, seen))
        # without the runs, of which it is said already, no answer is matched by their time
        with suppress(psycopg.errors.InsufficientPrivilege), connection.transaction():
            seen.starts = [(row["jobid"], row["start_time"]) for row in _rows(connection, "starts")]
    with _allowed(connection, seen, "the functions and triggers of the project"):
        seen.functions = twins.functions_of(connection)
        texts = _rows(connection, "texts")
        seen.texts = [(row["place"], row["content"]) for row in texts if row["content"] is not None]
        if len(seen.texts) < len(texts):
            seen.unseen.append(f"not every function and trigger was looked at for keys, but {len(seen.texts)}: {_MANY}")
    return seen


def _answers(connection: Connection, seen: Seen) -> Iterator[Answered]:
    """Yield the answers that are not of our own calls, newest first."""
    ours: dict[int, datetime] = {}
    trusts = seen.context.trusts_ledger
    if (seen.context.has_ledger or seen.context.has_messages) and not trusts:
        seen.unseen.append(
            "the schema autosync is not read, because others could have made it: our answers are among theirs"
        )
    if seen.context.has_ledger and trusts:
        with _allowed(connection, seen, "autosync.invocation, so our own answers are among those of others"):
            ours = {row["request_id"]: row["queued_at"] for row in _rows(connection, "ledger")}
    if seen.context.has_messages and trusts:
        with _allowed(connection, seen, "autosync.alert, so the answers to our own messages are among those of others"):
            ours |= {row["request_id"]: row["queued_at"] for row in _rows(connection, "messages")}
    for row in _rows(connection, "answers"):
        # pg_net counts from 1 again when it is made again, so the time decides, too
        queued = ours.get(row["id"])
        if queued is None or abs((row["created"] - queued).total_seconds()) > 86_400:
            yield judged(row)


def judged(row: Mapping[str, Any]) -> Answered:
    """Return what one row of net._http_response says of its call; its texts come as bytes."""
    body, status = _text(row["body"]), row["status_code"]
    fault, is_proven = None, False
    if status is None:
        fault = "timed out" if row["timed_out"] else f"no answer: {_text(row['error']) or 'no reason given'}"
        return Answered(row["created"], shown(fault), "", False)
    who = answerers.answered_by(status, _json(_text(row["headers"])), body)
    _, said = answers.stated(body, is_cut=row["is_cut"])
    by = f" from {who}" if who not in {None, "function"} else ""
    if not 200 <= status <= 299:
        fault = f"{status}{by}"
    elif who in answerers.NOT_THE_FUNCTION:
        fault = f"{status}, but a web page answered" + (f" ({who})" if who != "web page" else "")
    elif said is not None and not said.is_good:
        fault = f"{status}, and the answer says that it failed"
    else:
        is_proven = said is not None
    return Answered(row["created"], fault, shown(body), is_proven)


def shown(text: str) -> str:
    """Return the beginning of what others wrote, without keys and in characters that a terminal may get."""
    return clean(key.redact(text[:4000]))[:_EXCERPT]


def _text(value: bytes | None) -> str:
    if value is None:
        return ""
    try:
        return bytes(value).decode()
    except UnicodeDecodeError:
        return bytes(value).decode("latin-1")


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except (ValueError, RecursionError):
        return None


def _rows(connection: Connection, name: str) -> list[dict[str, Any]]:
    with connection.cursor(row_factory=dict_row) as cursor:
        return cursor.execute(resources.read(f"sql/audit/{name}.sql").encode()).fetchall()


@contextmanager
def _allowed(connection: Connection, seen: Seen, what: str) -> Iterator[None]:
    """Go on without what is refused, locked or too slow, and say so."""
    try:
        with connection.transaction():
            yield
    except psycopg.Error as error:
        if connection.broken:
            raise
        reasons: dict[type[psycopg.Error], str] = {
            psycopg.errors.InsufficientPrivilege: f"{seen.context.role} may not read it",
            psycopg.errors.QueryCanceled: f"it took longer than {STATEMENT_TIMEOUT}",
            psycopg.errors.LockNotAvailable: "it is locked by another session",
        }
        reason = reasons.get(type(error), error.diag.message_primary or type(error).__name__)
        seen.unseen.append(f"could not look at {what}: {reason}")
