"""The schedules in public.auto_sync_schedules: list them, change their settings, never their next run.

What is allowed is decided by the table's own trigger and constraints; their messages are passed on as they are.
"""

import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, time
from typing import Any

import psycopg
from psycopg import sql

from autosync_db.connection import Connection
from autosync_db.errors import MigrationError, UsageError
from autosync_db.schedules import preview

# what a person may set; everything else belongs to the trigger and to the function that runs the schedule
SETTABLE = (
    "integration_id",
    "organization_id",
    "enabled",
    "frequency_minutes",
    "direction",
    "conflict_resolution",
    "only_online",
    "time_window_enabled",
    "time_window_start",
    "time_window_end",
    "timezone",
    "device_filter",
    "device_tags",
)

# waiting although it could have run: due for longer than a tick takes, and not changed or opened just now
OVERDUE = """
    s.enabled and s.next_run_at < now() - interval '15 minutes' and s.updated_at < now() - interval '15 minutes'
        and (s.claim_expires_at is null or s.claim_expires_at <= now())
        and (not s.time_window_enabled
            or autosync.window_is_open(now(), s.time_window_start, s.time_window_end, s.timezone))
"""
# the state in one word, the most urgent first
_STATE = f"""
    case
        when not s.enabled then 'disabled'
        when s.claim_expires_at > now() then 'claimed'
        when s.next_run_at is null then 'no next run'
        when {OVERDUE} then 'overdue'
        when s.consecutive_failures > 0 then 'failing'
        when s.next_run_at <= now() then 'due'
        when s.last_run_at is null then 'never run'
        else 'waiting'
    end
"""
_LIST = f"""
    select s.id, s.integration_id, s.organization_id, {_STATE} as state, s.frequency_minutes,
        s.time_window_enabled, s.time_window_start, s.time_window_end, s.timezone,
        -- infinity, and years that Python has no date for
        case when s.next_run_at between '0001-01-02 00:00+00' and '9999-12-30 00:00+00' then s.next_run_at end,
        case when s.last_run_at between '0001-01-02 00:00+00' and '9999-12-30 00:00+00' then s.last_run_at end,
        s.last_run_status, s.consecutive_failures
    from public.auto_sync_schedules as s
    where %(state)s::text is null or ({_STATE}) = %(state)s
    order by s.next_run_at nulls last, s.id
    limit %(limit)s
"""  # noqa: S608 - constants
STATES = ("overdue", "failing", "claimed", "due", "never run", "waiting", "no next run", "disabled")


@dataclass(frozen=True, slots=True)
class Schedule:
    """One schedule as it is now; times are UTC."""

    id: uuid.UUID
    integration_id: uuid.UUID
    organization_id: uuid.UUID | None
    state: str
    frequency_minutes: int
    time_window_enabled: bool
    time_window_start: time | None
    time_window_end: time | None
    timezone: str
    next_run_at: datetime | None
    last_run_at: datetime | None
    last_run_status: str | None
    consecutive_failures: int

    @property
    def next_run_local(self) -> datetime | None:
        """Return the next run on the clocks of the schedule's own zone; None too where Python lacks the zone."""
        if self.next_run_at is None:
            return None
        try:
            return self.next_run_at.astimezone(preview.find_zone(self.timezone))
        except ValueError:
            return None

    @property
    def window(self) -> str | None:
        """Return the time window as `22:00-02:00`, None for the whole day."""
        if not self.time_window_enabled:
            return None
        return f"{self.time_window_start:%H:%M}-{self.time_window_end:%H:%M}"


def find(connection: Connection, *, state: str | None = None, limit: int = 100) -> list[Schedule]:
    """Return schedules, those that are due first, those that never run again last."""
    _require_table(connection)
    rows = connection.execute(_LIST.encode(), {"state": state, "limit": limit}).fetchall()
    return [Schedule(*row) for row in rows]


def add(connection: Connection, values: Mapping[str, Any]) -> uuid.UUID:
    """Add a schedule and return its id. Raises UsageError, in the table's words, when a value is not allowed."""
    _require_table(connection)
    names = _checked(values)
    statement = sql.SQL("insert into public.auto_sync_schedules ({}) values ({}) returning id").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.SQL(", ").join(map(sql.Placeholder, names))
    )
    with _refusals():
        row = connection.execute(statement, dict(values)).fetchone()
    assert row is not None
    found: uuid.UUID = row[0]
    return found


def change(connection: Connection, id: uuid.UUID, values: Mapping[str, Any]) -> None:
    """Change settings of one schedule. Raises UsageError when there is none of that id, or a value is not allowed."""
    _require_table(connection)
    if not (names := _checked(values)):
        raise UsageError("nothing to change was given", hint="see: autosync-db schedules set --help")
    statement = sql.SQL("update public.auto_sync_schedules set {} where id = {}").format(
        sql.SQL(", ").join(sql.SQL("{} = {}").format(sql.Identifier(name), sql.Placeholder(name)) for name in names),
        sql.Placeholder("id"),
    )
    with _refusals():
        _require_one(id, connection.execute(statement, {**values, "id": id}).rowcount)


def remove(connection: Connection, id: uuid.UUID) -> None:
    """Delete one schedule. Raises UsageError when there is none of that id."""
    _require_table(connection)
    _require_one(id, connection.execute("delete from public.auto_sync_schedules where id = %s", [id]).rowcount)


def _checked(values: Mapping[str, Any]) -> list[str]:
    if unknown := [name for name in values if name not in SETTABLE]:
        raise UsageError(f"{unknown[0]} cannot be set", hint=f"what can be set: {', '.join(SETTABLE)}")
    return list(values)


def _require_table(connection: Connection) -> None:
    row = connection.execute("select to_regclass('public.auto_sync_schedules') is not null").fetchone()
    if row != (True,):
        raise MigrationError("this database has no auto_sync_schedules yet", hint="run: autosync-db setup")


def _require_one(id: uuid.UUID, count: int) -> None:
    if count == 0:
        raise UsageError(f"there is no schedule {id}", hint="list them with: autosync-db schedules list")


@contextmanager
def _refusals() -> Iterator[None]:
    """Turn what the table refuses into a usage error, in the table's own words."""
    try:
        yield
    except psycopg.errors.UniqueViolation as error:
        raise UsageError(
            "this integration has a schedule already: there is one schedule per integration",
            hint="change it with: autosync-db schedules set ID",
        ) from error
    except (psycopg.errors.IntegrityError, psycopg.errors.DataError) as error:
        raise UsageError(
            error.diag.message_primary or str(error),
            hint=error.diag.message_hint or error.diag.message_detail or "see: autosync-db schedules add --help",
        ) from error
