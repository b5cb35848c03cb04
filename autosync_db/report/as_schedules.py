"""Schedules as text: a list that fits a terminal of 80 columns, one in full, and what came of a run."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from autosync_db.health.running import Run
from autosync_db.report import as_json, as_text
from autosync_db.schedules.table import Schedule

# of an id that is shortened; more where that would not tell two of the list apart
_SHORTEST = 8
_GAP = 2


def listed(found: Sequence[Schedule], console: Console) -> None:
    """Print a line for each schedule, with whole ids where there is room; below it why its last run failed."""
    headers = (
        "id",
        "state",
        "every",
        "next (UTC)",
        "local time",
        "integration",
        "organization",
        "last run (UTC)",
        "result",
    )
    rows = [
        (
            str(row.id),
            _state(row),
            _every(row),
            _moment(row.next_run_at),
            f"{row.next_run_local:%H:%M} {row.timezone}" if row.next_run_local else row.timezone,
            str(row.integration_id),
            str(row.organization_id or ""),
            _moment(row.last_run_at) or "never",
            ": ".join(filter(None, (row.last_run_status, row.reason))),
        )
        for row in found
    ]
    widths = _widths(headers, rows)
    if sum(widths) + _GAP * (len(widths) - 1) <= console.width:
        _lines(headers, rows, widths, console)
        return
    short = {id: _shortened(found, id) for id in ("id", "integration_id", "organization_id")}
    narrow = ("id", "state", "every (min)", "next (UTC)", "integration", "org")
    lines = [
        (
            short["id"][row.id],
            _state(row),
            _every(row).replace(" min", ""),
            f"{row.next_run_at.astimezone(UTC):%m-%d %H:%M}" if row.next_run_at else "",
            short["integration_id"][row.integration_id],
            short["organization_id"].get(row.organization_id, ""),
        )
        for row in found
    ]
    _lines(narrow, lines, _widths(narrow, lines), console, below=list(map(_last, found)))


def one(found: Schedule, row: dict[str, Any], console: Console) -> None:
    """Print all of a schedule, a line each."""
    local = f" ({found.next_run_local:%a %H:%M %Z})" if found.next_run_local and found.timezone != "UTC" else ""
    summary = row["last_run_summary"]
    claim = f"{row['claim_id']}, until {row['claim_expires_at']}" if row["claim_id"] else "none"
    tags = f": {', '.join(row['device_tags'] or ())}" if row["device_filter"] == "tagged" else ""
    lines = [
        ("id", found.id),
        ("integration", found.integration_id),
        ("organization", found.organization_id or "none"),
        ("state", _state(found)),
        ("every", _every(found) + (f" {found.timezone}" if found.window else "")),
        ("next run", f"{_moment(found.next_run_at)} UTC{local}" if found.next_run_at else "none"),
        ("last run", f"{_moment(found.last_run_at)} UTC" if found.last_run_at else "never"),
        ("result", found.last_run_status or ""),
        ("reason", found.reason or ""),
        ("reported", "" if summary is None else as_json.line(summary)),
        ("claim", claim),
        ("direction", row["direction"]),
        ("conflicts", row["conflict_resolution"]),
        ("devices", f"{row['device_filter']}{tags}{', only those online' if row['only_online'] else ''}"),
        ("created", row["created_at"]),
        ("changed", row["updated_at"]),
    ]
    as_text.table(("", ""), [line for line in lines if line[1] != ""], console)


def run(found: Run, console: Console) -> None:
    """Print what came of a run: the schedule's outcome and the calls of its tick."""
    schedule = found.schedule
    lines: list[tuple[str, object]] = [
        ("schedule", schedule.id),
        ("job", f"{found.job}, tick {found.tick_id} {found.decision}"),
    ]
    lines += [("call", call.account) for call in found.calls]
    if found.has_run:
        lines.append(("result", ": ".join(filter(None, (schedule.last_run_status, schedule.reason)))))
        if schedule.next_run_at:
            lines.append(("next run", f"{_moment(schedule.next_run_at)} UTC"))
    else:
        lines.append(("result", "under way" if found.is_claimed else "not run yet"))
    as_text.table(("", ""), lines, console)


def _state(row: Schedule) -> str:
    return row.state + (f" x{row.consecutive_failures}" if row.consecutive_failures else "")


def _every(row: Schedule) -> str:
    return f"{row.frequency_minutes} min" + (f", {row.window}" if row.window else "")


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M}" if moment else ""


def _last(row: Schedule) -> str:
    """Return what is said below a schedule's line, if anything."""
    if row.last_run_status in {None, "success"} and row.reason is None:
        return ""
    when = f" {row.last_run_at.astimezone(UTC):%m-%d %H:%M}" if row.last_run_at else ""
    return ": ".join(filter(None, (f"{row.last_run_status or 'never run'}{when}", row.reason)))


def _shortened(found: Iterable[Schedule], name: str) -> dict[UUID | None, str]:
    """Return the beginning of each id, as long as needed to tell those of the list apart."""
    ids = sorted({str(getattr(row, name)) for row in found if getattr(row, name)})
    length = _SHORTEST
    while length < 36 and len({id[:length] for id in ids}) < len(ids):
        length += 1
    return {UUID(id): id[:length].rstrip("-") for id in ids}


def _widths(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> list[int]:
    return [max(map(cell_len, column)) for column in zip(headers, *rows, strict=True)]


def _lines(
    headers: Sequence[str],
    rows: Sequence[Sequence[str]],
    widths: Sequence[int],
    console: Console,
    below: Sequence[str] = (),
) -> None:
    def line(cells: Sequence[str]) -> str:
        return (" " * _GAP).join(map(set_cell_size, cells, widths)).rstrip()

    console.print(Text(line(headers), style="bold"), soft_wrap=True)
    for number, row in enumerate(rows):
        console.print(Text(line(row)), soft_wrap=True)
        if below and below[number]:
            console.print(Text(f"  {below[number]}", style="dim"), no_wrap=True, overflow="ellipsis")
