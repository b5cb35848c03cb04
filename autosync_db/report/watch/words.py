"""Words and widths: texts of the database as they may stand in a line, outcomes and times as people say them."""

from datetime import datetime, timedelta

from rich.cells import cell_len, chop_cells

from autosync_db.config import duration
from autosync_db.health.model import Status
from autosync_db.health.status import condition_of
from autosync_db.jobs.calls import Invocation
from autosync_db.plain import clean
from autosync_db.report.screen import STYLES

GOOD, BAD, DOUBTFUL, WAITING = STYLES[Status.OK], STYLES[Status.CRITICAL], STYLES[Status.WARNING], "cyan"
# of "failed: function", the longest
OUTCOME_WIDTH = 16


def fit(text: object, width: int) -> str:
    """Return a text that takes exactly so many columns of a terminal: shortened with `…`, or followed by blanks."""
    return padded(clean(text), width)


def padded(line: str, width: int) -> str:
    """Return a line that is clean at that width."""
    if width <= 0:
        return ""
    if cell_len(line) > width:
        line = (chop_cells(line, width - 1)[0] if width > 1 else "") + "…"
    return line + " " * (width - cell_len(line))


def outcome(call: Invocation) -> tuple[str, str]:
    """Return what became of a call in the words of `runs` and `status`, and the style of that."""
    severity, words = condition_of(call)
    return words, STYLES[severity]


def rfc3339(moment: datetime) -> str:
    """Return a moment in RFC 3339, to the millisecond."""
    return moment.isoformat(timespec="milliseconds")


def countdown(left: timedelta) -> str:
    """Return how long it still takes, to the second within an hour."""
    seconds = int(left.total_seconds())
    if seconds <= 0:
        return "now"
    if seconds < 60:
        return f"in {seconds} s"
    if seconds < 3600:
        return f"in {seconds // 60} min {seconds % 60:02} s"
    return f"in {duration.describe(left)}"


def ago(moment: datetime, now: datetime) -> str:
    """Return how long ago a moment was, in whole seconds at the least."""
    seconds = max(0, int((now - moment).total_seconds()))
    return f"{seconds} s ago" if seconds < 60 else f"{duration.describe(timedelta(seconds=seconds))} ago"
