"""The journal of `rotate --auto`, in autosync.key_rotation: what is made at the platform, written before it is made.

Whoever is killed leaves a row that names what there may be; the platform's own list then says whether there is. It
holds names and fingerprints, no secret. One row at a time; a lease says whether its owner is still at work.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import psycopg

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, exists, rows, value
from autosync_db.credentials import lease, store
from autosync_db.credentials.lease import LEASE
from autosync_db.errors import AutosyncError, ConflictError

_TABLE = "autosync.key_rotation"
_BEAT_SECONDS = 8.0
_FIND = """
select k.made, k.subject, k.project_ref, k.token, k.old_key_id, k.old_key_name, k.old_fingerprint, k.new_fingerprint,
    k.old_is_free, k.started_at, k.started_by, k.application_name, host(k.client_address), k.lease_expires_at,
    k.lease_expires_at > clock_timestamp(),
    greatest(ceil(extract(epoch from k.lease_expires_at - clock_timestamp())), 0)::integer
from autosync.key_rotation as k
"""
_BEGIN = """
insert into autosync.key_rotation (
    made, subject, project_ref, token, old_key_id, old_key_name, old_fingerprint, lease_expires_at
)
values (%s, %s, %s, %s, %s, %s, %s, clock_timestamp() + %s)
"""
_TAKE_OVER = "update autosync.key_rotation set token = %s, lease_expires_at = clock_timestamp() + %s"
_EXTEND = "update autosync.key_rotation set lease_expires_at = clock_timestamp() + %s where token = %s returning true"
_NOTE_KEY = "update autosync.key_rotation set new_fingerprint = %s where token = %s returning true"
_NOTE_PROVEN = "update autosync.key_rotation set old_is_free = %s where token = %s returning true"
_FORGET_OTHERS = "delete from autosync.key_rotation where project_ref is distinct from %s"
_END = "delete from autosync.key_rotation where token = %s returning true"


@dataclass(frozen=True, slots=True)
class Old:
    """The credential that is replaced: its fingerprint, and which key of the platform it is, where that is known."""

    fingerprint: str | None
    key_id: str | None = None
    key_name: str | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """An automatic rotation that is under way or unfinished.

    `made` is the name of what it makes: a secret key's or, for a cron secret, the function's variable. `old_is_free`:
    None until the new one is proven, then whether nobody else was seen to hold the old one.
    """

    made: str
    subject: str
    project_ref: str
    token: UUID
    old: Old
    new_fingerprint: str | None
    old_is_free: bool | None
    started_at: datetime
    started_by: str
    application_name: str
    client_address: str | None
    lease_expires_at: datetime
    is_live: bool
    lease_seconds: int


@dataclass(frozen=True, slots=True)
class RotationState:
    """How an automatic rotation stands, as far as the database knows; the platform may know more."""

    entry: Entry | None  # None where it has ended
    active: str | None  # the fingerprint of the value that is active
    is_open: bool  # that value is not proven


def find(connection: Connection) -> Entry | None:
    """Return what is under way or unfinished, None when nothing is. Reads only."""
    if not exists(connection, _TABLE):
        return None
    for made, subject, ref, token, key_id, key_name, old, *others in rows(connection, _FIND):
        return Entry(made, subject, ref, token, Old(old, key_id, key_name), *others)
    return None


def state_of(configuration: Configuration, subject: str) -> RotationState:
    """Return how the rotation of the secret `subject` stands, by a connection of its own. Reads only."""
    with connect(configuration.target.database_url) as connection:
        return RotationState(
            entry=find(connection),
            active=store.look(connection, [subject])[subject],
            is_open=any(one.name == subject for one in lease.unfinished(connection)),
        )


def require_none(connection: Connection) -> None:
    """Return if no automatic rotation is under way or unfinished. Raises ConflictError that says which."""
    if (found := find(connection)) is not None:
        _refuse_while_live(found)
        raise _unfinished(found)


def begin(connection: Connection, made: str, subject: str, project_ref: str, old: Old) -> UUID:
    """Write down what is going to be made and return its owner's token. Raises ConflictError if another has begun."""
    token = uuid4()
    with store.changing(connection):
        # a manual rotation that begins at the same time sees this row, or this one sees its
        lease.stand_alone(connection)
        lease.require_idle(connection)
        if lease.unfinished(connection):
            raise ConflictError("a rotation is not finished", hint="finish it with: autosync-db rotate --resume")
        require_none(connection)
        with connection.transaction():
            connection.execute(
                _BEGIN, [made, subject, project_ref, token, old.key_id, old.key_name, old.fingerprint, LEASE]
            )
    return token


def take_over(connection: Connection) -> Entry | None:
    """Become the owner of what is unfinished and return it, None when nothing is. Raises ConflictError if it lives."""
    with store.changing(connection):
        lease.stand_alone(connection)
        found = find(connection)
        if found is None:
            return None
        _refuse_while_live(found)
        connection.execute(_TAKE_OVER, [uuid4(), LEASE])
        return find(connection)


def note_key(connection: Connection, token: UUID, fingerprint: str) -> None:
    """Write down which key was made. Raises ConflictError when somebody else took the rotation over."""
    _require_ours(value(connection, _NOTE_KEY, [fingerprint, token]))


def note_proven(connection: Connection, token: UUID, *, old_is_free: bool) -> None:
    """Write down that the new one is proven, and whether the old one may be deleted. Raises ConflictError as above."""
    _require_ours(value(connection, _NOTE_PROVEN, [old_is_free, token]))


def end(connection: Connection, token: UUID) -> None:
    """Forget a rotation that is over. Raises ConflictError when somebody else took it over."""
    _require_ours(value(connection, _END, [token]))


def forget_others(connection: Connection, project_ref: str | None) -> None:
    """Forget what a copy has of another project's rotation, which that one's own database ends."""
    connection.execute(_FORGET_OTHERS, [project_ref])


def extend(connection: Connection, token: UUID) -> None:
    """Say that the rotation is still worked on. Raises ConflictError when somebody else took it over."""
    _require_ours(value(connection, _EXTEND, [LEASE, token]))


@contextmanager
def kept_alive(configuration: Configuration, token: UUID) -> Iterator[None]:
    """Extend the lease while the block runs, whatever that waits for; it ends with the block, so that others may go on.

    A process that is killed takes the thread with it, and the lease lapses.
    """
    over = threading.Event()

    def beat() -> None:
        while not over.wait(_BEAT_SECONDS):
            # whoever is about to change something asks again, by extend()
            with suppress(AutosyncError, psycopg.Error), connect(configuration.target.database_url) as connection:
                value(connection, _EXTEND, [LEASE, token])

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(1)
        with suppress(AutosyncError, psycopg.Error), connect(configuration.target.database_url) as connection:
            value(connection, _EXTEND, [timedelta(), token])


def _require_ours(found: Any) -> None:
    if not found:
        raise ConflictError(
            "another command took over this rotation", hint="see what it did with: autosync-db secrets history"
        )


def _refuse_while_live(found: Entry) -> None:
    if found.is_live:
        raise ConflictError(
            f"rotate --auto is working on {found.made} since {found.started_at:%Y-%m-%d %H:%M:%S} UTC, by "
            f"{found.started_by} ({found.application_name or 'no application name'}, "
            f"{found.client_address or 'local socket'})",
            hint=f"wait for it; if it died, its lease ends in {found.lease_seconds} s,"
            f" at {found.lease_expires_at:%H:%M:%S} UTC, and then: autosync-db rotate --resume",
        )


def _unfinished(found: Entry) -> ConflictError:
    return ConflictError(
        f"rotate --auto has not finished with {found.made} since {found.started_at:%Y-%m-%d %H:%M:%S} UTC",
        hint="finish it with: autosync-db rotate --resume (or undo it: --abort)",
    )
