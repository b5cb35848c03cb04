"""Calls as text: a list of them, and one in full."""

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import Console

from autosync_db.health.status import condition_of
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.jobs.one_call import Call, Line
from autosync_db.report import screen
from autosync_db.report.screen import Cell, Column

_COLUMNS = (
    Column("queued (UTC)"),
    Column("id"),
    Column("tick", leaves=4, is_optional=True),
    Column("request", leaves=5, is_optional=True),
    Column("cause"),
    Column("answer", wraps=True, leaves=3),
    Column("job", leaves=2),
)


def table(found: Sequence[Invocation], console: Console, now: datetime | None = None) -> None:
    """Print calls with what became of each, and the job of each where there are several."""
    seen_at = now or datetime.now(UTC)
    rows = [
        (
            screen.when(call.queued_at, seen_at),
            call.id,
            call.tick_id,
            call.request_id,
            Cell(words, status=severity),
            Cell(call.account, is_dull=call.cause is Cause.OK and not call.is_unproven),
            call.job,
        )
        for call in found
        for severity, words in [condition_of(call)]
    ]
    shown = len(_COLUMNS) if len({call.job for call in found}) > 1 else len(_COLUMNS) - 1
    screen.table(_COLUMNS[:shown], [row[:shown] for row in rows], console)


def one(found: Call, where: str | None, console: Console, now: datetime) -> None:
    """Print one call: whose it is, what became of it and when, and by which ids it is known elsewhere."""

    def moment(at: datetime | None) -> str | None:
        return screen.moment(at, now) if at else None

    status = " ".join(str(part) for part in (found.status_code, found.error_code) if part)
    severity, words = condition_of(found)
    rows = {
        "call": f"{found.id} of {found.job or 'a job that is gone'}, attempt {found.attempt}",
        "outcome": Cell(f"{found.outcome} ({words})" if words != found.outcome else words, status=severity),
        "answer": f"{status}{f' from {found.answered_by}' if found.answered_by else ''}",
        "error": found.error_message,
        "body": " ".join((found.body_excerpt or "").split()),
        "queued": moment(found.queued_at),
        "answered": moment(found.answered_at),
        "settled": moment(found.settled_at),
        "report due": moment(found.report_due_at),
        "timeout": f"{found.timeout_milliseconds / 1000:g} s",
        "function's time": None if found.function_milliseconds is None else f"{found.function_milliseconds} ms",
        "tick": found.tick_id,
        "pg_net request": found.request_id,
        "idempotency key": found.idempotency_key,
        "sb-request-id": found.sb_request_id,
        "execution id": found.execution_id,
        "log": where,
    }
    screen.fields(rows.items(), console)


def log(lines: Sequence[Line], console: Console) -> None:
    """Print lines of the platform's log, the oldest first."""
    console.print()
    rows = [(line.at.replace("T", " "), line.source, line.level, line.text) for line in lines]
    columns = [Column("time (UTC)"), Column("source", leaves=2), Column("level"), Column("line", wraps=True, leaves=1)]
    screen.table(columns, rows, console)
