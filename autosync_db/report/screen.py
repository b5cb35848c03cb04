"""What all screens share: the line at the head, times, and tables that fit."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autosync_db.config import duration
from autosync_db.health.model import Status
from autosync_db.health.place import Place
from autosync_db.plain import printable, without_controls
from autosync_db.report import lines

STYLES = {
    Status.OK: "green",
    Status.WARNING: "yellow",
    Status.CRITICAL: "bold red",
    Status.UNKNOWN: "magenta",
    Status.BLOCKED: "dim",
}
# of an id that is shortened; more where that would not tell two of a list apart
SHORTEST = 8
_GAP = 2
# a column that is broken at words is at least so wide
_NARROWEST = 24
# from there on a moment is shown by its date, because its time alone would be that of several days
_TODAY, _THIS_YEAR = timedelta(hours=20), timedelta(days=300)
_MINUTES_MATTER = timedelta(hours=10)


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a table: in full, shorter where there is little room, and how good or bad it is.

    `below` is what stands below a line, where the column is not on it; `is_dull`: nothing then.
    """

    full: str
    short: str | None = None
    status: Status | None = None
    is_dull: bool = False
    below: str | None = None

    @property
    def is_worth_a_line(self) -> bool:
        """Whether it is shown where it has no column."""
        return bool(self.full) and not self.is_dull

    def text(self, *, short: bool, is_below: bool = False) -> Text:
        """Return it in one of its forms."""
        forms = [self.below if is_below else None, self.short if short else None, self.full]
        shown = next(form for form in forms if form is not None)
        return Text(printable(shown), style=STYLES[self.status] if self.status else "")


@dataclass(frozen=True, slots=True)
class Column:
    """A column. Where not all fit, those of the highest `leaves` leave the line first, to stand below it.

    `wraps`: its text may be broken at words. `is_optional`: without room it is left out, since another screen has it.
    """

    header: str
    wraps: bool = False
    leaves: int = 0
    is_optional: bool = False


def head(place: Place, console: Console) -> None:
    """Print which database the screen speaks of, and when that was."""
    lines.pieces(place.pieces, console)


def when(at: datetime | None, now: datetime) -> Cell:
    """Return a moment as `12 s ago (21:05:03)`, or `in 4 min (21:40:00)`; in short without seconds."""
    if at is None:
        return Cell("never")
    gap, local = abs(now - at), at.astimezone(now.tzinfo)
    near = duration.describe(gap)
    few = near.partition(" h ")[0] + " h" if " h " in near and gap >= _MINUTES_MATTER else near
    if gap < _TODAY:
        forms = ("%H:%M:%S", "%H:%M")
    else:
        forms = ("%m-%d %H:%M",) * 2 if gap < _THIS_YEAR else ("%Y-%m-%d %H:%M", "%Y-%m-%d")
    full, short = (
        f"{f'{ago} ago' if at <= now else f'in {ago}'} ({local:{form}})"
        for ago, form in zip((near, few), forms, strict=True)
    )
    return Cell(full, short)


def moment(at: datetime, now: datetime) -> str:
    """Return a moment in full, for a screen that speaks of one thing."""
    gap = abs(now - at)
    near = f"{duration.describe(gap)} ago" if at <= now else f"in {duration.describe(gap)}"
    return f"{at.astimezone(now.tzinfo):%Y-%m-%d %H:%M:%S} UTC ({near})"


def shortened(ids: Iterable[object]) -> dict[str, str]:
    """Return the beginning of each id, as long as needed to tell those of a list apart."""
    whole = sorted({str(id) for id in ids if id is not None})
    length = SHORTEST
    while length < 36 and len({id[:length] for id in whole}) < len(whole):
        length += 1
    return {id: id[:length].rstrip("-") for id in whole}


def table(columns: Sequence[Column], rows: Iterable[Sequence[object]], console: Console) -> None:
    """Print rows under headers in lines that fit: in full, else shorter, else with some columns below each line.

    Where even that does not fit, each row is a block of its own.
    """
    # a text with lines of its own would tear the rows apart
    cells = [[_cell(without_controls(value) if isinstance(value, str) else value) for value in row] for row in rows]
    for short, shown in _ways(columns):
        widths = _fitted(columns, cells, shown, console.width, short=short)
        if widths is not None:
            _lines(columns, cells, widths, console, short=short)
            return
    for row in cells:
        fields([(column.header, cell) for column, cell in zip(columns, row, strict=True)], console)
        console.print()


def fields(rows: Iterable[tuple[str, object]], console: Console) -> None:
    """Print names with what each is, broken at words; an empty one is left out."""
    named = [(name, value if isinstance(value, Text) else _cell(value).text(short=False)) for name, value in rows]
    named = [(name, value) for name, value in named if value.plain]
    width = max((cell_len(name) for name, _ in named), default=0) + _GAP
    for name, value in named:
        for number, line in enumerate(lines.wrapped(value, max(console.width - width, _NARROWEST))):
            label = (name if number == 0 else "").ljust(width)
            console.print(Text.assemble((label, "bold"), line), soft_wrap=True)


def _cell(value: object) -> Cell:
    return value if isinstance(value, Cell) else Cell("" if value is None else str(value))


def _ways(columns: Sequence[Column]) -> Iterable[tuple[bool, list[int]]]:
    """Yield how a table may be printed, the best first: whether its cells are short, and what is on a line."""
    every = list(range(len(columns)))
    yield False, every
    yield True, every
    for least in sorted({column.leaves for column in columns if column.leaves}, reverse=True):
        yield True, [place for place in every if columns[place].leaves < least]


def _fitted(
    columns: Sequence[Column], rows: Sequence[Sequence[Cell]], shown: Sequence[int], room: int, *, short: bool
) -> dict[int, int] | None:
    """Return how wide each column on a line is, None where they do not fit."""
    widths = {
        place: max([cell_len(columns[place].header), *(row[place].text(short=short).cell_len for row in rows)])
        for place in shown
    }
    left = room - _GAP * (len(shown) - 1) - sum(widths[place] for place in shown if not columns[place].wraps)
    # the narrow ones first, so that what they do not need is the others'
    flexible = sorted((place for place in shown if columns[place].wraps), key=widths.__getitem__)
    for number, place in enumerate(flexible):
        share = left // (len(flexible) - number)
        if widths[place] > share:
            if share < max(_NARROWEST, cell_len(columns[place].header)):
                return None
            widths[place] = share
        left -= widths[place]
    return widths if left >= 0 else None


def _lines(
    columns: Sequence[Column],
    rows: Sequence[Sequence[Cell]],
    widths: dict[int, int],
    console: Console,
    *,
    short: bool,
) -> None:
    def line(cells: Sequence[Text], style: str = "") -> None:
        made = Text(style=style, end="")
        for place, cell in zip(widths, cells, strict=True):
            made += cell + Text(" " * (widths[place] - cell.cell_len + _GAP))
        made.rstrip()
        console.print(made, soft_wrap=True)

    if any(columns[place].header for place in widths):
        line([Text(columns[place].header) for place in widths], "bold")
    below = [place for place, column in enumerate(columns) if place not in widths and not column.is_optional]
    for row in rows:
        texts = {place: row[place].text(short=short) for place in widths}
        parts = [
            lines.wrapped(text, widths[place]) if columns[place].wraps else [text] for place, text in texts.items()
        ]
        for number in range(max(map(len, parts))):
            line([part[number] if number < len(part) else Text() for part in parts])
        said = [
            (columns[place].header.partition(" (")[0], row[place].text(short=short, is_below=True))
            for place in below
            if row[place].is_worth_a_line
        ]
        text = Text("; ", style="dim").join(Text(f"{header} ".lstrip()) + value for header, value in said)
        for wrapped in lines.wrapped(text, console.width - lines.INDENT) if said else ():
            console.print(Text(" " * lines.INDENT) + wrapped, soft_wrap=True)
