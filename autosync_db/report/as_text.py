"""Results as text for a terminal or a log: readable without colour and at 80 columns."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from autosync_db.health.model import CheckResult, Report, Status
from autosync_db.jobs.calls import Invocation

_STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.BLOCKED: "dim",
}


def report(found: Report, console: Console, *, show_all: bool = False) -> None:
    """Print the root causes with evidence and remedy, then what they block, then the healthy checks as a count."""
    console.print(
        Text.assemble(
            (found.status.value.upper(), _STYLES[found.status]),
            f"  {found.job} on target {found.target}, {found.checked_at:%Y-%m-%d %H:%M:%S} UTC",
        ),
        soft_wrap=True,
    )
    for result in found.notes:
        console.print(Text(f"note  {result.verdict.summary}"), soft_wrap=True)
    for result in found.root_causes:
        _root_cause(result, console)
    blocked = [result for result in found.results if result.status is Status.BLOCKED]
    if blocked:
        console.print()
        grid = _grid()
        for result in blocked:
            grid.add_row(_badge(result.status), result.id, f"explained by {', '.join(result.blocked_by)}")
        console.print(grid)
    healthy = [result for result in found.results if result.status is Status.OK]
    console.print()
    if show_all:
        grid = _grid()
        for result in healthy:
            grid.add_row(_badge(result.status), result.id, result.verdict.summary)
        console.print(grid)
    elif healthy:
        console.print(
            Text.assemble(("ok", _STYLES[Status.OK]), f"  {len(healthy)} of {len(found.results)} checks; -v lists them")
        )


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], console: Console) -> None:
    """Print rows under headers, without frames."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for header in headers:
        shown.add_column(header, overflow="fold")
    for row in rows:
        shown.add_row(*(Text("" if cell is None else str(cell)) for cell in row))
    console.print(shown)


def calls(found: Sequence[Invocation], console: Console) -> None:
    """Print calls with what became of each."""
    rows = [
        (f"{call.queued_at:%Y-%m-%d %H:%M:%S}", call.tick_id, call.request_id, call.cause.value, call.summary)
        for call in found
    ]
    table(("queued (UTC)", "tick", "request", "cause", "answer"), rows, console)


def _root_cause(result: CheckResult, console: Console) -> None:
    console.print()
    console.print(Text.assemble(_badge(result.status), "  ", (result.id, "bold")), soft_wrap=True)
    for item in result.verdict.evidence:
        console.print(Text(f"  {item.object}: {item.detail}"))
    if not result.verdict.evidence:
        console.print(Text(f"  {result.verdict.summary}"))
    console.print(Text(f"  should be: {result.check.claim}", style="dim"))
    if result.check.remedy:
        console.print(Text.assemble("  remedy: ", (result.check.remedy, "bold")), soft_wrap=True)
    console.print(Text(f"  more: autosync-db explain {result.id}", style="dim"), soft_wrap=True)


def _grid() -> Table:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(no_wrap=True)
    grid.add_column(no_wrap=True)
    grid.add_column(overflow="fold")
    return grid


def _badge(status: Status) -> Text:
    return Text(status.value, style=_STYLES[status])
