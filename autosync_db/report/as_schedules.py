"""Schedules as text: a list that fits a terminal of 80 columns, one in full, and what came of a run."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from rich.console import Console

from autosync_db.health.findings import Status as Severity
from autosync_db.health.running import Run
from autosync_db.report import as_json, lines, screen
from autosync_db.report.screen import Cell, Column
from autosync_db.schedules.table import STATES, Schedule

_SEVERITIES = {
    "overdue": Severity.CRITICAL,
    "failing": Severity.CRITICAL,
    "no next run": Severity.CRITICAL,
    "due": Severity.WARNING,
    "waiting": Severity.OK,
    "disabled": Severity.BLOCKED,
}
_RESULTS = {"failed": Severity.CRITICAL, "partial": Severity.WARNING}
_COLUMNS = (
    Column("id"),
    Column("state"),
    Column("every"),
    Column("next run (UTC)"),
    Column("local time", leaves=9, is_optional=True),
    Column("integration", leaves=2),
    Column("org", leaves=3),
    Column("last run (UTC)", leaves=8, is_optional=True),
    Column("result", wraps=True, leaves=7),
)


def listed(found: Sequence[Schedule], console: Console, now: datetime) -> None:
    """Print a line for each schedule, with whole ids where there is room; below it what has no room beside it.

    The last line counts the states, so that what scrolled away is known.
    """
    ids = screen.shortened(row.id for row in found)
    integrations = screen.shortened(row.integration_id for row in found)
    organizations = screen.shortened(row.organization_id for row in found)
    rows = [
        (
            Cell(str(row.id), ids[str(row.id)]),
            _state(row),
            _every(row),
            screen.when(row.next_run_at, now) if row.next_run_at else "none",
            f"{row.next_run_local:%H:%M} {row.timezone}" if row.next_run_local else row.timezone,
            Cell(str(row.integration_id), integrations[str(row.integration_id)]),
            Cell(str(row.organization_id), organizations[str(row.organization_id)]) if row.organization_id else "none",
            screen.when(row.last_run_at, now),
            _result(row, now),
        )
        for row in found
    ]
    screen.table(_COLUMNS, rows, console)
    if console.is_terminal and len(found) > 1:
        counts = Counter(row.state for row in found)
        said = ", ".join(f"{counts[state]} {state}" for state in STATES if counts[state])
        lines.say(f"{len(found)} schedules: {said}", console)


def one(found: Schedule, row: dict[str, Any], console: Console, now: datetime) -> None:
    """Print all of a schedule, a line each."""
    local = f" ({found.next_run_local:%a %H:%M %Z})" if found.next_run_local and found.timezone != "UTC" else ""
    summary = row["last_run_summary"]
    until = screen.moment(datetime.fromisoformat(row["claim_expires_at"]), now) if row["claim_expires_at"] else ""
    claim = f"{row['claim_id']}, until {until}" if row["claim_id"] else "none"
    tags = f": {', '.join(row['device_tags'] or ())}" if row["device_filter"] == "tagged" else ""
    rows = [
        ("id", found.id),
        ("integration", found.integration_id),
        ("organization", found.organization_id or "none"),
        ("state", _state(found)),
        ("every", _every(found) + (f" {found.timezone}" if found.window else "")),
        ("next run", f"{screen.moment(found.next_run_at, now)}{local}" if found.next_run_at else "none"),
        ("last run", screen.moment(found.last_run_at, now) if found.last_run_at else "never"),
        ("result", Cell(found.last_run_status or "", status=_RESULTS.get(found.last_run_status or ""))),
        ("reason", found.reason or ""),
        ("reported", "" if summary is None else as_json.line(summary)),
        ("claim", claim),
        ("direction", row["direction"]),
        ("conflicts", row["conflict_resolution"]),
        ("devices", f"{row['device_filter']}{tags}{', only those online' if row['only_online'] else ''}"),
        ("created", screen.moment(datetime.fromisoformat(row["created_at"]), now)),
        ("changed", screen.moment(datetime.fromisoformat(row["updated_at"]), now)),
    ]
    screen.fields(rows, console)


def run(found: Run, console: Console, now: datetime) -> None:
    """Print what came of a run: the schedule's outcome and the calls of its tick."""
    schedule = found.schedule
    rows: list[tuple[str, object]] = [
        ("schedule", schedule.id),
        ("job", f"{found.job}, tick {found.tick_id} {found.decision}"),
    ]
    rows += [("call", call.account) for call in found.calls]
    if found.has_run:
        rows.append(("result", _result(schedule, now)))
        if schedule.next_run_at:
            rows.append(("next run", screen.moment(schedule.next_run_at, now)))
    else:
        rows.append(("result", "under way" if found.is_claimed else "not run yet"))
    screen.fields(rows, console)


def _state(row: Schedule) -> Cell:
    failed = f" x{row.consecutive_failures}" if row.consecutive_failures else ""
    return Cell(row.state + failed, status=_SEVERITIES.get(row.state))


def _every(row: Schedule) -> str:
    return f"{row.frequency_minutes} min" + (f", {row.window}" if row.window else "")


def _result(row: Schedule, now: datetime) -> Cell:
    """Return what came of the last run; where there is no room for when that was, this is said as well."""
    words = row.last_run_status or ("never run" if row.last_run_at is None else "")
    is_dull = words in {"success", "never run"} and row.reason is None
    when = screen.when(row.last_run_at, now).short if row.last_run_at else None
    full, below = (
        ": ".join(filter(None, (said, row.reason))) for said in (words, ", ".join(filter(None, (words, when))))
    )
    return Cell(full, below=below, is_dull=is_dull, status=_RESULTS.get(words))
