"""Who is notified, as text; addresses are secrets and are never shown."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from autosync_db.health.alerts import Receiver
from autosync_db.health.findings import Status as Severity
from autosync_db.report import screen
from autosync_db.report.screen import Cell, Column

_COLUMNS = (
    Column("kind"),
    Column("job"),
    Column("form", leaves=4),
    Column("fingerprint", leaves=3),
    Column("delivered (UTC)", leaves=2),
    Column("newest", wraps=True, leaves=1),
)


def listed(found: Sequence[Receiver], console: Console, now: datetime) -> None:
    """Print who is notified, and what became of the newest message of each."""
    rows = [
        (
            one.kind,
            Cell("(removed)", status=Severity.WARNING) if one.is_orphaned else one.job or "all",
            one.form,
            one.fingerprint or Cell("missing", status=Severity.CRITICAL),
            screen.when(one.delivered_at, now),
            _newest(one),
        )
        for one in found
    ]
    screen.table(_COLUMNS, rows, console)


def _newest(one: Receiver) -> Cell:
    if one.last_outcome is None:
        return Cell("nothing yet")
    is_delivered = one.last_outcome == "delivered"
    more = f", {one.waiting} waiting" if one.waiting > 1 else ""
    why = f": {one.last_error}" if one.last_error and not is_delivered else ""
    status = Severity.OK if is_delivered else Severity.CRITICAL if why else None
    return Cell(f"{one.last_event} {one.last_outcome.replace('_', ' ')}{why}{more}", status=status)
