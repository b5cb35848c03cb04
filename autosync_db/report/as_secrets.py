"""Secrets as text: what is stored and what is missing, and who changed what; never a value."""

from collections.abc import Sequence
from datetime import datetime

from rich.console import Console

from autosync_db.credentials.listing import Listed
from autosync_db.credentials.store import HistoryEntry
from autosync_db.health.findings import Status as Severity
from autosync_db.report import screen
from autosync_db.report.screen import Cell, Column

_LISTED = (
    Column("name"),
    Column("state"),
    Column("kind", leaves=2),
    Column("store", leaves=5, is_optional=True),
    Column("fingerprint", leaves=1),
    Column("changed (UTC)", leaves=4),
    Column("last success (UTC)", leaves=3),
)
_HISTORY = (
    Column("when (UTC)"),
    Column("action"),
    Column("name"),
    Column("store", leaves=8, is_optional=True),
    Column("kind", leaves=7),
    Column("fingerprints", leaves=1),
    Column("role", leaves=4),
    Column("application", leaves=5),
    Column("address", leaves=6),
)


def listed(found: Sequence[Listed], missing: Sequence[str], console: Console, now: datetime) -> None:
    """Print what is stored, and what a job needs and is not."""
    rows: list[tuple[object, ...]] = [(name, Cell("missing", status=Severity.CRITICAL)) + ("",) * 5 for name in missing]
    rows += [
        (
            one.name,
            _state(one),
            one.kind,
            one.store,
            one.fingerprint,
            screen.when(one.changed_at, now),
            _success(one, now),
        )
        for one in found
    ]
    screen.table(_LISTED, rows, console)


def history(found: Sequence[HistoryEntry], console: Console, now: datetime) -> None:
    """Print changes, the newest first."""
    rows = [
        (
            screen.when(one.changed_at, now),
            one.action,
            one.name,
            one.store,
            one.kind,
            f"{one.fingerprint_before or '-'} -> {one.fingerprint_after or '-'}",
            one.acting_role if one.acting_role == one.session_role else f"{one.acting_role} (as {one.session_role})",
            one.application_name,
            one.client_address or "local socket",
        )
        for one in found
    ]
    screen.table(_HISTORY, rows, console)


def _state(one: Listed) -> Cell:
    if one.is_being_proven:
        return Cell("being proven", status=Severity.WARNING)
    if one.is_unproven:
        return Cell("not proven", status=Severity.CRITICAL)
    return Cell("in use", status=Severity.OK) if one.is_needed else Cell("not used", status=Severity.BLOCKED)


def _success(one: Listed, now: datetime) -> Cell | str:
    if not one.is_needed:
        return "not used by alerts" if one.is_address else "not used by any job"
    return screen.when(one.last_success_at, now) if one.last_success_at else "never since"
