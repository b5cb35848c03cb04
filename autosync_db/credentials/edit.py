"""Store and delete the secrets that no call proves; nothing is changed while a rotation would be disturbed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect
from autosync_db.credentials import lease, store
from autosync_db.errors import AutosyncError, UnreachableError, UsageError, closest, unknown
from autosync_db.jobs import references
from autosync_db.secret import Secret
from autosync_db.supabase import address, key

_LIST = "list them with: autosync-db secrets list"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a named secret: `stored`, `replaced`, `unchanged` or `deleted`."""

    name: str
    outcome: str
    fingerprint: str | None = None
    meant: str | None = None  # a name that a job uses, where this one is near it and used by none


def set_value(configuration: Configuration, name: str, value: Secret) -> Outcome:
    """Store `value` under `name`, which store.require_settable() must have accepted.

    Raises SecretError when it can be no value of that name, ConflictError when a rotation is unfinished that it would
    disturb.
    """
    store.require_value(name, value)
    with connect(configuration.target.database_url) as connection:
        require_changeable(connection, configuration, name)
        needed = store.needed(connection)
        if name in needed:
            store.require_sendable(name, value)
        seen = store.look(connection, [name])
        if name == store.GATEWAY_KEY:
            url = store.project_url(connection)
            key.inspect_public(value, project_ref=address.ref_of(url) if url else None)
        with undisturbed(connection, name):
            changed = bool(store.store(connection, {name: value}, seen=seen))
    outcome = "unchanged" if not changed else "replaced" if seen[name] else "stored"
    return Outcome(name, outcome, key.fingerprint(value), None if name in needed else closest(name, needed))


def delete(configuration: Configuration, name: str, confirm: Callable[[list[str], list[str]], None]) -> Outcome:
    """Delete the secret `name`. One that a job needs is deleted only if `confirm` returns; it raises to refuse.

    It gets the cron jobs that are not ours and read it, because they were given back or will be, and the jobs that show
    it to the gateway besides.

    Raises UsageError when there is no such secret, ConflictError when a rotation is unfinished that it would disturb,
    or replaced the secret meanwhile.
    """
    store.refuse_address(name, "delete")
    with connect(configuration.target.database_url) as connection:
        require_changeable(connection, configuration, name)
        absent: AutosyncError = UsageError(f"there is no secret {name!r}", hint=_LIST)
        seen: store.Seen | None = None
        try:
            seen = store.look(connection, [name])
            if seen[name] is None:
                raise unknown("secret", name, store.stored(connection), hint=_LIST)
        except UnreachableError as unreadable:
            # a vault that cannot decrypt any more can still be emptied
            absent = unreadable
        # another job may need it as well
        readers = references.readers(connection, name)
        shows = store.showing_gateway_key(connection) if name == store.GATEWAY_KEY else []
        if name in store.needed(connection) or readers or shows:
            confirm(readers, shows)
        with undisturbed(connection, name):
            store.send(connection, {})
            store.require_as_seen(connection, seen)
            if not store.delete(connection, name):
                raise absent
    return Outcome(name, "deleted")


def require_changeable(connection: Connection, configuration: Configuration, name: str) -> None:
    """Return if the secret `name` may be changed now. Raises MigrationError, UsageError or SecretError if not."""
    store.require_history(connection)
    store.require_chosen(connection, configuration)
    lease.require_settled(connection, name)


@contextmanager
def undisturbed(connection: Connection, *names: str) -> Iterator[None]:
    """Run the block in one transaction in which no rotation begins or ends, and none is unfinished of these names."""
    with store.changing(connection):
        lease.stand_alone(connection)
        for name in names:
            lease.require_settled(connection, name)
        yield
