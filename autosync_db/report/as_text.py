"""Results as text for a terminal or a log: readable without colour and at 80 columns."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autosync_db.health.model import CheckResult, Report, Status
from autosync_db.jobs.calls import Invocation
from autosync_db.jobs.one_call import Call, Line

STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.BLOCKED: "dim",
}


# of what a check says of many jobs
_NAMED, _SHOWN = 3, 10


def report(found: Report, console: Console, *, show_all: bool = False) -> None:
    """Print the root causes with evidence and remedy, then what they block, then the healthy checks as a count."""
    console.print(
        Text.assemble(
            (found.status.value.upper(), STYLES[found.status]),
            f"  {found.subject} on target {found.target}, {found.checked_at:%Y-%m-%d %H:%M:%S} UTC",
        ),
        soft_wrap=True,
    )
    for result in found.notes:
        console.print(Text(f"note  {result.verdict.summary}"), soft_wrap=True)
    for group in _groups(found.root_causes):
        _root_cause(group, found, console)
    _blocked(found, console, show_all=show_all)
    healthy = found.healthy
    console.print()
    if show_all:
        grid = _grid()
        for result in healthy:
            grid.add_row(_badge(result.status), result.id, result.verdict.summary)
        console.print(grid)
    elif healthy:
        console.print(
            Text.assemble(("ok", STYLES[Status.OK]), f"  {len(healthy)} of {len(found.by_check)} checks; -v lists them")
        )


def _blocked(found: Report, console: Console, *, show_all: bool) -> None:
    """Print in a line how many checks wait for what, or each of them."""
    groups = _groups(result for result in found.results if result.status is Status.BLOCKED)
    if not groups:
        return
    console.print()
    if show_all:
        grid = _grid()
        for group in groups:
            first = group[0]
            name = f"{first.id}{_jobs(group, found)}"
            grid.add_row(_badge(first.status), name, f"explained by {', '.join(first.blocked_by)}")
        console.print(grid)
        return
    waiting: dict[tuple[str, ...], set[str]] = {}
    for group in groups:
        waiting.setdefault(group[0].blocked_by, set()).add(group[0].id)
    parts = []
    for causes, ids in sorted(waiting.items(), key=lambda item: -len(item[1])):
        what = "1 check waits" if len(ids) == 1 else f"{len(ids)} checks wait"
        parts.append(f"{what} for {' and '.join(causes)}")
    line = Text.assemble(_badge(Status.BLOCKED), f"  {'; '.join(parts)}; -v lists them")
    console.print(line, soft_wrap=True)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], console: Console) -> None:
    """Print rows under headers, without frames."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        shown.add_column(header, overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(shown)


def calls(found: Sequence[Invocation], console: Console) -> None:
    """Print calls with what became of each, and the job of each where there are several."""
    rows = [
        (
            f"{call.queued_at:%Y-%m-%d %H:%M:%S}",
            call.id,
            call.tick_id,
            call.request_id,
            call.cause.value,
            call.account,
            call.job,
        )
        for call in found
    ]
    headers = ("queued (UTC)", "id", "tick", "request", "cause", "answer", "job")
    shown = len(headers) if len({call.job for call in found}) > 1 else len(headers) - 1
    table(headers[:shown], [row[:shown] for row in rows], console)


def call(found: Call, where: str | None, console: Console) -> None:
    """Print one call: whose it is, what became of it and when, and by which ids it is known elsewhere."""
    words = " ".join((found.body_excerpt or "").split())
    status = " ".join(str(part) for part in (found.status_code, found.error_code) if part)
    rows = {
        "call": f"{found.id} of {found.job or 'a job that is gone'}, attempt {found.attempt}",
        "outcome": f"{found.outcome} ({found.cause.value})",
        "answer": f"{status}{f' from {found.answered_by}' if found.answered_by else ''}",
        "error": found.error_message,
        "body": words,
        "queued": _moment(found.queued_at),
        "answered": _moment(found.answered_at),
        "settled": _moment(found.settled_at),
        "report due": _moment(found.report_due_at),
        "timeout": f"{found.timeout_milliseconds / 1000:g} s",
        "function's time": None if found.function_milliseconds is None else f"{found.function_milliseconds} ms",
        "tick": found.tick_id,
        "pg_net request": found.request_id,
        "idempotency key": found.idempotency_key,
        "sb-request-id": found.sb_request_id,
        "execution id": found.execution_id,
        "log": where,
    }
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        if value not in {None, ""}:
            grid.add_row(Text(name, style="bold"), Text(str(value)))
    console.print(grid)


def log(lines: Sequence[Line], console: Console) -> None:
    """Print lines of the platform's log, the oldest first."""
    console.print()
    rows = [(line.at.replace("T", " "), line.source, line.level, line.text) for line in lines]
    table(("time (UTC)", "source", "level", "line"), rows, console)


def _moment(at: datetime | None) -> str | None:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if at else None


def _groups(results: Iterable[CheckResult]) -> list[list[CheckResult]]:
    """Put together what one check says of several jobs alike."""
    found: dict[object, list[CheckResult]] = {}
    for result in results:
        found.setdefault((result.id, result.status, result.blocked_by), []).append(result)
    return list(found.values())


def _jobs(group: Sequence[CheckResult], found: Report) -> str:
    names = [result.job for result in group if result.job]
    if not names or len(found.jobs) == 1:
        return ""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f" ({', '.join(names[:_NAMED])}{more})"


def _root_cause(group: Sequence[CheckResult], found: Report, console: Console) -> None:
    result = group[0]
    console.print()
    console.print(Text.assemble(_badge(result.status), "  ", (result.id, "bold"), _jobs(group, found)), soft_wrap=True)
    lines = dict.fromkeys(
        line
        for one in group
        for line in [f"{item.object}: {item.detail}" for item in one.verdict.evidence] or [one.verdict.summary]
    )
    shown = list(lines) if len(group) == 1 else list(lines)[:_SHOWN]
    for line in shown:
        console.print(Text(f"  {line}"))
    if len(lines) > len(shown):
        console.print(Text(f"  and {len(lines) - len(shown)} more: see --format json", style="dim"))
    console.print(Text(f"  should be: {result.check.claim}", style="dim"))
    if result.remedy:
        console.print(Text.assemble("  remedy: ", (result.remedy, "bold")), soft_wrap=True)
    more = found.aim.at(f"autosync-db explain {result.id}")
    console.print(Text(f"  more: {more}", style="dim"), soft_wrap=True)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _badge(status: Status) -> Text:
    return Text(status.value, style=STYLES[status])
