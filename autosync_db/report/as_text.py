"""Results as text for a terminal or a log: readable without colour and at 80 columns."""

from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from autosync_db.health.model import CheckResult, Report, Status
from autosync_db.health.place import Place
from autosync_db.report import lines, screen
from autosync_db.report.screen import STYLES, Cell, Column

# a text of a table that is longer may be broken
_LONG = 24
# of what a check says of many jobs
_NAMED, _SHOWN, _INDENT = 3, 10, 2


def report(found: Report, console: Console, *, show_all: bool = False, place: Place | None = None) -> None:
    """Print the root causes with evidence and remedy, then what they block, then the healthy checks as a count."""
    lines.say(
        Text.assemble(
            (found.status.value.upper(), STYLES[found.status]),
            f"  {found.subject} on target {found.target}, {found.checked_at:%Y-%m-%d %H:%M:%S} UTC",
        ),
        console,
    )
    if place:
        lines.pieces(place.address, console)
    for result in found.notes:
        lines.say(f"note  {result.verdict.summary}", console)
    for group in _groups(found.root_causes):
        _root_cause(group, found, console, show_all=show_all)
    _blocked(found, console, show_all=show_all)
    healthy = found.healthy
    console.print()
    if show_all:
        _grid([(result.status, result.id, result.verdict.summary) for result in healthy], console)
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
        rows = [
            (group[0].status, f"{group[0].id}{_jobs(group, found)}", f"explained by {', '.join(group[0].blocked_by)}")
            for group in groups
        ]
        _grid(rows, console)
        return
    waiting: dict[tuple[str, ...], set[str]] = {}
    for group in groups:
        waiting.setdefault(group[0].blocked_by, set()).add(group[0].id)
    parts = []
    for causes, ids in sorted(waiting.items(), key=lambda item: -len(item[1])):
        what = "1 check waits" if len(ids) == 1 else f"{len(ids)} checks wait"
        parts.append(f"{what} for {' and '.join(causes)}")
    lines.say(Text.assemble(_badge(Status.BLOCKED), f"  {'; '.join(parts)}; -v lists them"), console)


def table(headers: Sequence[str], rows: Iterable[Sequence[object]], console: Console) -> None:
    """Print rows under headers, without frames; long sentences are broken at words."""
    found = [list(row) for row in rows]

    def is_prose(place: int) -> bool:
        # a name or an id is never broken
        return any(len(text) > _LONG and " " in text for text in (str(row[place]) for row in found))

    columns = [Column(header, wraps=is_prose(place), leaves=place) for place, header in enumerate(headers)]
    screen.table(columns, found, console)


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


def _root_cause(group: Sequence[CheckResult], found: Report, console: Console, *, show_all: bool) -> None:
    result = group[0]
    console.print()
    lines.say(Text.assemble(_badge(result.status), "  ", (result.id, "bold"), _jobs(group, found)), console)
    said = dict.fromkeys(
        line
        for one in group
        for line in [f"{item.object}: {item.detail}" for item in one.verdict.evidence] or [one.verdict.summary]
    )
    # what one check found of many things must not push the other causes off the screen
    shown = list(said) if show_all else list(said)[:_SHOWN]
    for line in shown:
        lines.say(line, console, indent=_INDENT)
    if len(said) > len(shown):
        lines.say(Text(f"and {len(said) - len(shown)} more; -v lists them", style="dim"), console, indent=_INDENT)
    lines.say(Text(f"should be: {result.check.claim}", style="dim"), console, indent=_INDENT)
    if result.remedy:
        lines.say(Text.assemble("remedy: ", (result.remedy, "bold")), console, indent=_INDENT)
    more = found.aim.at(f"autosync-db explain {result.id}")
    lines.say(Text(f"more: {more}", style="dim"), console, indent=_INDENT)


def _grid(rows: Sequence[tuple[Status, str, str]], console: Console) -> None:
    columns = [Column(""), Column(""), Column("", wraps=True, leaves=1)]
    screen.table(columns, [(Cell(status.value, status=status), *rest) for status, *rest in rows], console)


def _badge(status: Status) -> Text:
    return Text(status.value, style=STYLES[status])
