"""The schedules in public.auto_sync_schedules: list them, change their settings, never their next run.

What is allowed is decided by the table's own trigger and constraints; their messages are passed on as they are.
"""

import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, time
from typing import Any

import psycopg
from psycopg import sql

from autosync_db.connection import Connection, require
from autosync_db.errors import UsageError
from autosync_db.plain import clean
from autosync_db.schedules import preview
from autosync_db.supabase.key import redact

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
        s.last_run_status, s.consecutive_failures,
        case
            when s.claims_since_run > 1
                then format('claimed %%s times since its last run, never completed', s.claims_since_run)
            when s.last_run_status in ('failed', 'partial') then autosync.mask_keys(left(coalesce(
                s.last_run_summary ->> 'error',
                case jsonb_typeof(s.last_run_summary -> 'errors')
                    when 'array' then s.last_run_summary -> 'errors' ->> 0
                    when 'number' then format('%%s errors', s.last_run_summary ->> 'errors')
                end
            ), 300))
        end
    from public.auto_sync_schedules as s
    where (%(state)s::text is null or ({_STATE}) = %(state)s) and (%(id)s::uuid is null or s.id = %(id)s)
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
    reason: str | None

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
    require(connection, "public.auto_sync_schedules")
    rows = connection.execute(_LIST.encode(), {"state": state, "id": None, "limit": limit}).fetchall()
    return [_schedule(row) for row in rows]


def listed(connection: Connection, limit: int) -> str:
    """Return the query of find() as text, to be part of a larger statement."""
    return psycopg.ClientCursor(connection).mogrify(_LIST.encode(), {"state": None, "id": None, "limit": limit})


def resolve(connection: Connection, text: str) -> uuid.UUID:
    """Return the id of the one schedule whose id begins with `text`, at least four characters of it.

    Raises UsageError when there is none, or more than one.
    """
    require(connection, "public.auto_sync_schedules")
    digits = re.sub(r"-|^urn:uuid:|[{}]", "", text.strip().lower())
    if not re.fullmatch(r"[0-9a-f]{4,32}", digits):
        raise UsageError(
            f"{text!r} is not the id of a schedule",
            hint="give the id or its first characters, at least 4; list them with: autosync-db schedules list",
        )
    bounds = [uuid.UUID(digits.ljust(32, filling)) for filling in "0f"]
    found = [
        id
        for (id,) in connection.execute(
            "select s.id from public.auto_sync_schedules as s where s.id between %s and %s order by s.id limit 4",
            bounds,
        )
    ]
    if not found:
        raise UsageError(f"there is no schedule {text}", hint="list them with: autosync-db schedules list")
    if len(found) > 1:
        named = ", ".join(map(str, found[:3])) + (" and more" if len(found) > 3 else "")
        raise UsageError(f"{text} is the beginning of several ids: {named}", hint="give more characters of the id")
    only: uuid.UUID = found[0]
    return only


def beginning(connection: Connection, text: str, limit: int) -> list[tuple[str, str]]:
    """Return the ids that begin with `text`, and what a shell shows beside each."""
    digits = text.replace("-", "").lower()
    if not re.fullmatch(r"[0-9a-f]{0,32}", digits):
        return []
    bounds = [uuid.UUID(digits.ljust(32, filling)) for filling in "0f"]
    found = connection.execute(
        f"select s.id, s.integration_id, {_STATE} from public.auto_sync_schedules as s"  # noqa: S608 - constants
        " where s.id between %s and %s order by s.id limit %s".encode(),
        [*bounds, limit],
    )
    return [(str(id), f"{state}, integration {integration}") for id, integration, state in found]


def get(connection: Connection, id: uuid.UUID) -> tuple[Schedule, dict[str, Any]]:
    """Return one schedule, and its whole row as JSON has it. Raises UsageError when there is none of that id."""
    row = connection.execute(_LIST.encode(), {"state": None, "id": id, "limit": 1}).fetchone()
    whole = connection.execute(
        "select to_jsonb(s) from public.auto_sync_schedules as s where s.id = %s", [id]
    ).fetchone()
    if row is None or whole is None:
        raise _none(id)
    return _schedule(row), _redacted(whole[0])


def make_due(connection: Connection, id: uuid.UUID) -> None:
    """Let a schedule be claimed next. Raises UsageError, and changes nothing, where it may not run now."""
    require(connection, "public.auto_sync_schedules")
    with _refusals():
        row = connection.execute("select m.state, m.until from autosync.make_due(%s) as m", [id]).fetchone()
    state, until = row or (None, None)
    if state is None:
        raise _none(id)
    ends = f"{until.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if until else ""
    if state == "disabled":
        raise UsageError(f"schedule {id} is disabled", hint=f"switch it on with: autosync-db schedules enable {id}")
    if state == "claimed":
        raise UsageError(
            f"schedule {id} is being run already; its claim ends at {ends} at the latest",
            hint=f"see the outcome with: autosync-db schedules show {id}",
        )
    if state == "shut":
        raise UsageError(
            f"the time window of schedule {id} is closed until {ends}",
            hint=f"wait for it, or remove the window with: autosync-db schedules set {id} --window none",
        )


def add(connection: Connection, values: Mapping[str, Any]) -> uuid.UUID:
    """Add a schedule and return its id. Raises UsageError, in the table's words, when a value is not allowed."""
    require(connection, "public.auto_sync_schedules")
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
    require(connection, "public.auto_sync_schedules")
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
    require(connection, "public.auto_sync_schedules")
    _require_one(id, connection.execute("delete from public.auto_sync_schedules where id = %s", [id]).rowcount)


def _checked(values: Mapping[str, Any]) -> list[str]:
    if unknown := [name for name in values if name not in SETTABLE]:
        raise UsageError(f"{unknown[0]} cannot be set", hint=f"these can be set: {', '.join(SETTABLE)}")
    return list(values)


def _require_one(id: uuid.UUID, count: int) -> None:
    if count == 0:
        raise _none(id)


def _none(id: uuid.UUID) -> UsageError:
    return UsageError(f"there is no schedule {id}", hint="list them with: autosync-db schedules list")


def _redacted(value: Any) -> Any:
    """Return what a function has reported without what looks like a key in it."""
    if isinstance(value, dict):
        return {name: _redacted(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_redacted(inner) for inner in value]
    return redact(value) if isinstance(value, str) else value


def _schedule(row: Sequence[Any]) -> Schedule:
    found = Schedule(*row)
    return replace(found, reason=clean(found.reason or "") or None)


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
