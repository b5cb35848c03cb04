"""The lease of a rotation: new values are active, the previous ones are kept until the new ones are proven.

begin     one transaction: keep what is stored, activate the new values
finish    one transaction: delete what was kept
put_back  one transaction: activate what was kept

All of it is in autosync.secret_rotation. There is at most one rotation at a time. Its owner extends the lease while it
works; once the lease has lapsed, anybody may take the rotation over. No session state is used: transactions, a table
lock inside them, and a token, so that any pooler will do.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, LiteralString
from uuid import UUID, uuid4

from psycopg.sql import SQL, Composed, Literal
from psycopg.types.json import Jsonb

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, exists, is_broken, rows, value
from autosync_db.credentials import store
from autosync_db.errors import AutosyncError, ConflictError, MigrationError, StoppedError, UnreachableError
from autosync_db.secret import Secret

LEASE = timedelta(seconds=30)
_EXTEND_AFTER_SECONDS = 5
_RESTART_SECONDS = 8
_POLL_SECONDS = 0.2

_BEGIN = "select b.name, b.fingerprint_before, b.fingerprint_after from autosync.begin_rotation(%s, %s, %s) as b"
_FETCH = SQL(
    "insert into pg_temp.incoming_secret (name, secret)"
    r" select {name}, rtrim(btrim(v.found, E' \t\r\n'), case {name} when 'project_url' then '/' else '' end)"
    " from ({query}) as v"
)
_TAKE_OVER = "select autosync.take_over_rotation(%s, %s)"
_FINISH = "select autosync.finish_rotation(%s)"
_PUT_BACK = "select autosync.put_back_rotation(%s)"
_EXTEND = "select autosync.extend_rotation(%s, %s)"
_TABLE = "autosync.secret_rotation"
# begin_rotation() takes it too
_ALONE = "lock table autosync.secret_rotation in share row exclusive mode"
_UNFINISHED = """
select r.name, r.fingerprint_before, r.fingerprint_after, r.started_at, r.started_by, r.application_name,
    host(r.client_address), r.lease_expires_at, r.lease_expires_at > clock_timestamp(),
    greatest(ceil(extract(epoch from r.lease_expires_at - clock_timestamp())), 0)::integer
from autosync.secret_rotation as r
order by r.started_at, r.name
"""
_SECRETS_OF = """
select r.name, r.fingerprint_before, r.fingerprint_after
from autosync.secret_rotation as r
where r.token = %s and r.name not like 'setting:%%'
"""
_KEPT = "select r.kept, r.previous from autosync.secret_rotation as r where r.name = %s"
_KEPT_IN_VAULT = "select v.decrypted_secret from vault.decrypted_secrets as v where v.name = %s"

KeepAlive = Callable[[], None]


@dataclass(frozen=True, slots=True)
class Replacement:
    """One name under rotation, with the fingerprints of the old and the new value; of a setting, the values."""

    name: str
    fingerprint_before: str | None
    fingerprint_after: str | None


@dataclass(frozen=True, slots=True)
class Rotation:
    """A rotation that was begun or taken over: new values are active and not proven yet."""

    token: UUID
    changes: tuple[Replacement, ...]


@dataclass(frozen=True, slots=True)
class Unfinished:
    """One name whose active value is not proven, and who stored it; `is_live`: somebody still works on it."""

    name: str
    fingerprint_before: str | None
    fingerprint_after: str | None
    started_at: datetime
    started_by: str
    application_name: str
    client_address: str | None
    lease_expires_at: datetime
    is_live: bool
    lease_seconds: int


def begin(
    connection: Connection,
    values: Mapping[str, Secret],
    settings: Mapping[str, Any] | None = None,
    *,
    token: UUID | None = None,
    read: Mapping[str, Composed] | None = None,
    seen: store.Seen | None = None,
) -> Rotation | None:
    """Activate `values` and rows of autosync.setting, in one transaction that keeps what was there.

    `read`: queries with one column `found`, for values that the server has elsewhere and that do not leave it. `seen`:
    what the caller saw when it decided to replace it.

    Returns None when nothing differed. A rotation whose lease has lapsed is taken over: what it kept stays what
    put_back() returns to. Raises ConflictError when somebody else's lease lasts or somebody else replaced what was
    seen, SecretError when a value is refused; nothing has changed then.
    """
    token = token or uuid4()
    with store.changing(connection):
        store.send(connection, values)
        for name, query in (read or {}).items():
            connection.execute(_FETCH.format(name=Literal(name), query=query))
        # somebody who is at work still is named rather than what that one has changed
        connection.execute(_TAKE_OVER, [token, LEASE])
        store.require_as_seen(connection, seen)
        changes = rows(connection, _BEGIN, [token, LEASE, Jsonb(dict(settings or {}))])
    return Rotation(token, tuple(Replacement(*change) for change in changes)) if changes else None


def take_over(connection: Connection) -> tuple[datetime, Rotation] | None:
    """Become the owner of what is unfinished; return since when it is and what it is, None when nothing is.

    Raises ConflictError when somebody else's lease lasts.
    """
    token = uuid4()
    with store.changing(connection):
        connection.execute(_TAKE_OVER, [token, LEASE])
        left = unfinished(connection)
    if not left:
        return None
    changes = tuple(Replacement(one.name, one.fingerprint_before, one.fingerprint_after) for one in left)
    return left[0].started_at, Rotation(token, changes)


def keeper(connection: Connection, token: UUID) -> KeepAlive:
    """Return what extends the lease of a rotation when called, every few seconds at most.

    It raises ConflictError when somebody else took the rotation over meanwhile.
    """
    extended = time.monotonic()

    def keep() -> None:
        nonlocal extended
        if time.monotonic() - extended < _EXTEND_AFTER_SECONDS:
            return
        if not value(connection, _EXTEND, [token, LEASE]):
            raise _taken_over()
        extended = time.monotonic()

    return keep


def finish(connection: Connection, token: UUID) -> None:
    """End a rotation whose values are proven: the old ones are deleted.

    Raises ConflictError when somebody else took it over; that one decides then. And when somebody replaced one of the
    values by SQL, which nobody has proven: the rotation has ended then, and that value stays.
    """
    _end(connection, _FINISH, token)


def put_back(connection: Connection, token: UUID) -> None:
    """End a rotation by activating what was there before. Raises ConflictError as finish() does."""
    _end(connection, _PUT_BACK, token)


def release(connection: Connection, token: UUID) -> None:
    """Leave a rotation to whoever comes next: its lease ends now."""
    connection.execute(_EXTEND, [token, timedelta()])


@contextmanager
def undone_when_interrupted(
    configuration: Configuration,
    token: UUID,
    values: Mapping[str, Secret],
    *,
    interrupts: tuple[type[BaseException], ...] = (Exception, KeyboardInterrupt, SystemExit),
) -> Iterator[None]:
    """Put back what was there before when the block is left by one of `interrupts`, and raise that again.

    When the user stopped it or the connection broke, what is raised says whether the new `values` are active.
    """
    try:
        yield
    except interrupts as cause:
        try:
            state = _put_back_by_another_connection(configuration, token, values)
        except AutosyncError as failure:
            raise _unknown(failure) from None
        if isinstance(cause, KeyboardInterrupt):
            raise StoppedError(f"interrupted; {state}", hint="run it again: every command can be repeated") from None
        if is_broken(cause):
            raise UnreachableError(
                f"the connection to the database broke in the middle of this; {state}", hint="run it again"
            ) from cause
        raise


@contextmanager
def released_when_interrupted(configuration: Configuration, token: UUID) -> Iterator[None]:
    """Let whoever comes next go on at once when the block is left early; the active value stays, unproven as before."""
    try:
        yield
    except BaseException as cause:
        # the other connection may be in the middle of a statement; where none can be made the lease lapses by itself
        with suppress(AutosyncError), connect(configuration.target.database_url) as connection:
            release(connection, token)
        if isinstance(cause, KeyboardInterrupt):
            raise StoppedError(
                "interrupted; the new value is active, and unproven as before",
                hint="run: autosync-db rotate --resume (or --abort)",
            ) from None
        raise


def _put_back_by_another_connection(configuration: Configuration, token: UUID, values: Mapping[str, Secret]) -> str:
    """Put back what was there before, and return in words which values are active; a server may be restarting."""
    deadline = time.monotonic() + _RESTART_SECONDS
    while True:
        try:
            # the other connection may be in the middle of a statement
            with connect(configuration.target.database_url) as connection:
                with store.changing(connection):
                    _, changed = _ended(connection, _PUT_BACK, token)
                return store.which_are_active(connection, values, changed)
        except UnreachableError:
            if time.monotonic() > deadline:
                raise
            time.sleep(_POLL_SECONDS)


def _unknown(failure: AutosyncError) -> AutosyncError:
    # another command, as a teardown, took away in the meantime what --resume would read
    is_gone = isinstance(failure, MigrationError)
    kind = ConflictError if is_gone or isinstance(failure, ConflictError) else UnreachableError
    return kind(
        f"interrupted, and it is not known whether the previous value is active again: {failure.message}",
        hint=failure.hint
        if is_gone
        else "see which value is active with autosync-db verify, then run: autosync-db rotate --resume",
    )


def unfinished(connection: Connection) -> tuple[Unfinished, ...]:
    """Return every name whose active value is not proven, oldest first. Reads only."""
    if not exists(connection, _TABLE):
        return ()
    return tuple(Unfinished(*row) for row in rows(connection, _UNFINISHED))


def kept(connection: Connection, name: str) -> Secret | None:
    """Return what an unfinished rotation of `name` would put back, None when there is no such value."""
    if not exists(connection, _TABLE):
        return None
    for where, previous in rows(connection, _KEPT, [name]):
        found = value(connection, _KEPT_IN_VAULT, [f"{name}.previous"]) if where == "vault" else previous
        return None if found is None else Secret(found.strip())
    return None


def stand_alone(connection: Connection) -> None:
    """Let no rotation begin or end until the transaction ends."""
    connection.execute(_ALONE)


def require_idle(connection: Connection) -> None:
    """Return if nobody is at work on a rotation. Raises ConflictError that says who is, and since when."""
    _refuse_while_live(unfinished(connection))


def require_settled(connection: Connection, name: str) -> None:
    """Return if no rotation is unfinished that a change of `name` would disturb. Raises ConflictError if one is."""
    left = unfinished(connection)
    _refuse_while_live(left)
    for one in left:
        if one.name == name or one.name.startswith("setting:"):
            raise ConflictError(
                f'a rotation of "{one.name}" is not finished since {one.started_at:%Y-%m-%d %H:%M:%S} UTC',
                hint="finish it with: autosync-db rotate --resume",
            )


def _refuse_while_live(left: tuple[Unfinished, ...]) -> None:
    for one in left:
        if one.is_live:
            raise ConflictError(
                f'a rotation of "{one.name}" is under way since {one.started_at:%Y-%m-%d %H:%M:%S} UTC, by '
                f"{one.started_by} ({one.application_name or 'no application name'}, "
                f"{one.client_address or 'local socket'})",
                hint=f"wait for it; if it died, its lease ends in {one.lease_seconds} s,"
                f" at {one.lease_expires_at:%H:%M:%S} UTC",
            )


def _end(connection: Connection, statement: LiteralString, token: UUID) -> None:
    try:
        with store.changing(connection):
            ended, changed = _ended(connection, statement, token)
    except store.LockedError:
        raise ConflictError(
            "another session holds a lock on the secrets, so the rotation is left unfinished",
            hint="end its transaction, then run: autosync-db rotate --resume",
        ) from None
    if ended == 0:
        raise _taken_over()
    if changed:
        raise ConflictError(
            f"{' and '.join(changed)} was changed since the rotation began, and stays so; the rotation has ended",
            hint="see who did it with: autosync-db secrets history; whether it works: autosync-db jobs trigger",
        )


def _ended(connection: Connection, statement: LiteralString, token: UUID) -> tuple[int, list[str]]:
    """End a rotation; return how many names it had, and those whose active value is another one than it is to be."""
    secrets = rows(connection, _SECRETS_OF, [token])
    ended = value(connection, statement, [token])
    wanted = {name: after if statement == _FINISH else before for name, before, after in secrets}
    active = store.look(connection, wanted)
    return ended, [name for name in wanted if ended and active[name] != wanted[name]]


def _taken_over() -> ConflictError:
    return ConflictError(
        "another rotation took this one over", hint="see who and when with: autosync-db secrets history"
    )
