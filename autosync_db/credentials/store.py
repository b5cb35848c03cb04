"""The secrets of the scheduled calls: in public.pg_cron_secrets, or in Supabase's vault.

Where they are is a setting of the database (autosync.secret_store()); the server's functions read and write there.
Values travel towards the server as COPY data: it logs statements and bind parameters when its settings say so, never
copied rows. A service key never travels back; a cron secret does, because the function must get it, and so does the
public gateway_key, with which the function is called directly (cron_secret.py).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import psycopg
from psycopg.types.json import Jsonb

from autosync_db.config import Configuration
from autosync_db.connection import Connection, exists, require, rows, value
from autosync_db.errors import AutosyncError, ConflictError, SecretError, UnreachableError, UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import key

PROJECT_URL = "project_url"
SERVICE_KEY = "service_role_key"
CRON_SECRET = "cron_secret"  # noqa: S105 - the name of a secret, not its value
CRON_SECRET_NEXT = "cron_secret_next"  # noqa: S105
GATEWAY_KEY = "gateway_key"

Store = Literal["table", "vault"]
# raised by sql/functions: somebody else holds the lease of a rotation; something else stands in the way; the vault that
# holds the secrets cannot be read; a secret is no longer the one that was looked at
UNDER_WAY = "AS001"
IN_THE_WAY = "AS002"
UNREADABLE = "AS003"
CHANGED_SINCE = "AS004"
# the addresses of those who are notified of faults
_ALERT_ADDRESS = re.compile(r"alert_(?P<kind>slack|webhook|heartbeat)(?:_[0-9]+)?")
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
# as autosync.read_secret() demands
_SENDABLE = re.compile(r"[!-~]+")
SHORT_LOCKS = b"set local lock_timeout = '3s'"

_FACTS = """
select f.name, f.store, f.kind, f.fingerprint, f.created_at, f.changed_at
from autosync.secret_facts() as f
order by f.name
"""
# before revision 0004 there is only the table, as a guide's migration or revision 0002 made it
_FACTS_OF_TABLE = """
select s.name, 'table', 'other', left(encode(sha256(convert_to(s.secret, 'UTF8')), 'hex'), 4), s.created_at,
    s.updated_at
from public.pg_cron_secrets as s
order by s.name
"""
_NEEDED = """
select distinct n.name
from autosync.job as j
cross join unnest(autosync.needed_secrets(j.name)) as n (name)
where %(job)s::text is null or j.name = %(job)s
order by 1
"""
# as autosync.call_headers() adds it, where it is stored
_SHOWING_GATEWAY_KEY = """
select j.name
from autosync.job as j
where j.function is not null
    and case autosync.function_auth(j.name)
        when 'cron_secret' then true
        when 'secret' then lower(j.secret_header) not in ('authorization', 'apikey')
    end
order by 1
"""
_IS_REGISTERED = """
select exists (select from autosync.job as j where %(job)s::text is null or j.name = %(job)s)
"""
_VALUE = r"select btrim(s.secret, E' \t\r\n') from autosync.stored_secrets() as s where s.name = %s"
_PUT = "select i.name from pg_temp.incoming_secret as i where autosync.put_secret(i.name, i.secret) order by 1"
_HISTORY = """
select c.changed_at, c.action, c.name, c.store, c.kind, c.fingerprint_before, c.fingerprint_after, c.session_role,
    c.acting_role, c.application_name, host(c.client_address)
from autosync.secret_change as c
where %(name)s::text is null or c.name = %(name)s
order by c.id desc
limit %(limit)s
"""


# fingerprints by name, as somebody saw them who is about to write; None for a name that was not there
Seen = Mapping[str, str | None]


class LockedError(ConflictError):
    """Another session held a lock on the secrets for too long; nothing was changed."""


@dataclass(frozen=True, slots=True)
class StoredSecret:
    """What may be said about a stored secret."""

    name: str
    store: str
    kind: str
    fingerprint: str
    created_at: datetime
    changed_at: datetime


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One entry of the history: who did what to which secret, from where; fingerprints stand for values."""

    changed_at: datetime
    action: str
    name: str
    store: str
    kind: str
    fingerprint_before: str | None
    fingerprint_after: str | None
    session_role: str
    acting_role: str
    application_name: str
    client_address: str | None


def store_of(connection: Connection) -> Store:
    """Return where the secrets of this database are."""
    if not exists(connection, "autosync.secret_store()"):
        return "table"
    return "vault" if value(connection, "select autosync.secret_store()") == "vault" else "table"


def needed(connection: Connection, job_name: str | None = None) -> tuple[str, ...]:
    """Return the names that the ticks of a job read, or those of all jobs; without one of them no call is made."""
    if not exists(connection, "autosync.needed_secrets(text)"):
        return (PROJECT_URL, SERVICE_KEY)
    names = tuple(name for (name,) in rows(connection, _NEEDED, {"job": job_name}))
    # a job that makes no call needs none; where there is no job yet, the first one needs these
    return names if names or value(connection, _IS_REGISTERED, {"job": job_name}) else (PROJECT_URL, SERVICE_KEY)


def is_registered(connection: Connection, job_name: str) -> bool:
    """Return whether the database has a job of this name."""
    return exists(connection, "autosync.job") and bool(value(connection, _IS_REGISTERED, {"job": job_name}))


def showing_gateway_key(connection: Connection) -> list[str]:
    """Return the jobs whose calls show the public key besides, where one is stored: a gateway may want it."""
    if not exists(connection, "autosync.function_auth(text)"):
        return []
    return [name for (name,) in rows(connection, _SHOWING_GATEWAY_KEY)]


def stored(connection: Connection) -> dict[str, StoredSecret]:
    """Return the facts of every stored secret by name, none before the first migration; no value leaves the server.

    Raises UnreachableError when the vault cannot be read.
    """
    if not exists(connection, "public.pg_cron_secrets"):
        return {}
    query = _FACTS if exists(connection, "autosync.secret_facts()") else _FACTS_OF_TABLE
    with refusals():
        return {facts[0]: StoredSecret(*facts) for facts in rows(connection, query)}


def look(connection: Connection, names: Iterable[str]) -> dict[str, str | None]:
    """Return what a later write of these names is to find unchanged."""
    found = stored(connection)
    return {name: found[name].fingerprint if name in found else None for name in names}


def which_are_active(connection: Connection, values: Mapping[str, Secret], changed: Collection[str] = ()) -> str:
    """Return in words whether `values` are stored, or those of before; `changed` are those that are neither."""
    found = look(connection, values)
    said = [
        f"{_which(found[name] == key.fingerprint(one), name in changed)} value of {name} is active"
        if found[name]
        else f"no {name} is stored"
        for name, one in values.items()
    ]
    return "; ".join(said) or "no secret was changed"


def _which(is_new: bool, is_changed: bool) -> str:
    return "the new" if is_new else "somebody else's" if is_changed else "the previous"


def project_url(connection: Connection) -> str | None:
    """Return the stored address, which is no secret, or None."""
    return read(connection, PROJECT_URL)


def known_project_url(connection: Connection) -> str | None:
    """Return the stored address on a database of any revision, None where there is none or it cannot be read."""
    if not exists(connection, "autosync.stored_secrets()"):
        return None
    try:
        return project_url(connection)
    except (UnreachableError, psycopg.errors.InsufficientPrivilege):
        return None


def read(connection: Connection, name: str) -> str | None:
    """Return a stored value without the blanks around it, None when there is none. For no service key."""
    with refusals():
        found: str | None = value(connection, _VALUE, [name])
    return found


def store(connection: Connection, values: Mapping[str, Secret], *, seen: Seen | None = None) -> list[str]:
    """Store `values` in one transaction and return the names that changed; equal values are left untouched.

    Nothing is proven; see rotation.replace. Raises SecretError when a value is refused, e.g. by a constraint that
    the project added, and ConflictError when one that is to be replaced is no longer as it was `seen`.
    """
    with refusals(), connection.transaction():
        send(connection, values)
        require_as_seen(connection, seen)
        return [name for (name,) in rows(connection, _PUT)]


def delete(connection: Connection, name: str) -> bool:
    """Delete a secret and return whether there was one."""
    with refusals():
        return bool(value(connection, "select autosync.delete_secret(%s)", [name]))


def history(connection: Connection, name: str | None = None, limit: int = 50) -> list[HistoryEntry]:
    """Return the newest changes, of one secret or of all, newest first. Reads only."""
    return [HistoryEntry(*entry) for entry in rows(connection, _HISTORY, {"name": name, "limit": limit})]


def send(connection: Connection, values: Mapping[str, Secret]) -> None:
    """Copy `values` into pg_temp.incoming_secret, which lasts as long as the caller's transaction.

    In binary: of rows in text the server quotes the one at which a COPY ends, if that is by an error or a cancel.
    """
    connection.execute(
        "drop table if exists pg_temp.incoming_secret;"
        " create temporary table incoming_secret (name text, secret text) on commit drop"
    )
    with connection.cursor().copy("copy pg_temp.incoming_secret (name, secret) from stdin (format binary)") as copy:
        copy.set_types(["text", "text"])
        for name, secret in values.items():
            copy.write_row((name, secret.reveal()))


def require_as_seen(connection: Connection, seen: Seen | None) -> None:
    """Return if what is stored is as it was seen, or equal to what was sent; it stays so until the transaction ends.

    Whoever looks, asks or calls, and writes then, would undo without a word what a rotation did in between. Raises
    ConflictError, by way of refusals().
    """
    if seen is not None:
        connection.execute("select autosync.require_as_seen(%s)", [Jsonb(dict(seen))])


def require_settable(name: str) -> None:
    """Return if a secret of this name may be stored without a proof. Raises UsageError that says what does it."""
    if name in {SERVICE_KEY, CRON_SECRET}:
        raise UsageError(
            f"use rotate for {name}: it makes a test call before it replaces the key",
            hint="run: autosync-db rotate (the first one is stored by: autosync-db setup)",
        )
    if name == PROJECT_URL:
        raise UsageError(
            "use setup for project_url: it makes a test call with the new address",
            hint="run: autosync-db setup --project-url URL",
        )
    if name == CRON_SECRET_NEXT:
        raise UsageError(
            f"{name} is the secret that the next rotation activates", hint="make it with: autosync-db rotate --generate"
        )
    refuse_address(name, "set")
    # the history would show it for ever
    if key.LOOKS_SECRET.search(name):
        raise UsageError(
            "a key stands where the name of a secret belongs",
            hint="pass it by --from-file or --from-env, and replace it soon: others could see the command line",
        )
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not a name of a secret",
            hint="use small letters, digits and _, at most 63, beginning with a letter",
        )


def is_address(name: str) -> bool:
    """Return whether a secret of this name is where messages or heartbeats go."""
    return _ALERT_ADDRESS.fullmatch(name) is not None


def refuse_address(name: str, verb: str) -> None:
    """Raise UsageError if a secret of this name belongs to `alerts`, which also knows what is sent there."""
    if found := _ALERT_ADDRESS.fullmatch(name):
        raise UsageError(
            f"{name} is where messages or heartbeats go", hint=f"run: autosync-db alerts {verb} {found['kind']}"
        )


def require_value(name: str, value: Secret) -> None:
    """Return if `value` can be a secret. Raises SecretError if it is blank or a placeholder."""
    text = value.reveal().strip()
    if not text:
        raise SecretError(f"the value of {name} is blank", hint=f"delete it with: autosync-db secrets delete {name}")
    if "\0" in text:
        raise SecretError(f"the value of {name} holds a zero byte", hint="store it in base64")
    if name == GATEWAY_KEY and not key.is_public(value):
        raise SecretError(
            "gateway_key must be a public key: it is sent with every call",
            hint="pass the project's publishable or anon key",
        )
    if len(text) < 60 and key.PLACEHOLDER.fullmatch(text):
        raise SecretError(f"the value of {name} is a placeholder", hint="pass the value itself")


def require_sendable(name: str, value: Secret) -> None:
    """Return if a call can carry `value` in a header. Raises SecretError if not: each tick would refuse it."""
    if not _SENDABLE.fullmatch(value.reveal().strip(" \t\r\n")):
        raise SecretError(
            f"the value of {name} contains blanks, line breaks or other characters that no header carries, and a job"
            " sends it; nothing was changed",
            hint="pass only the value, on one line; what stands before it, as Basic, is the prefix in the job's auth",
        )


def require_history(connection: Connection) -> None:
    """Return if the database has the tables that changes of secrets need. Raises MigrationError if not."""
    require(connection, "autosync.secret_rotation")


def require_chosen(connection: Connection, configuration: Configuration) -> None:
    """Return if the secrets are where the settings say. Raises UsageError if they say so and it is not so."""
    settings = configuration.settings
    if "secrets" not in settings.model_fields_set:
        return
    found = store_of(connection)
    if found != settings.secrets.store:
        raise UsageError(
            f'the settings say [secrets] store = "{settings.secrets.store}", but the secrets are in the {found}',
            hint="move them with: autosync-db setup",
        )


@contextmanager
def changing(connection: Connection) -> Iterator[None]:
    """Run the block as one transaction that waits only briefly for a lock.

    Raises what refusals() makes of an error; LockedError when another session holds a lock.
    """
    with refusals(), connection.transaction():
        connection.execute(SHORT_LOCKS)
        yield


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the server's functions refuse into an error of ours; no detail is kept, it could quote a row.

    SecretError for a value that is refused, ConflictError for other work that stands in the way, UnreachableError for a
    vault that cannot be read.
    """
    try:
        yield
    except psycopg.Error as error:
        explained = _explain(error)
        if explained is None:
            raise
        raise explained from None


def _explain(error: psycopg.Error) -> AutosyncError | None:
    message, hint = error.diag.message_primary or "", error.diag.message_hint or "run: autosync-db verify"
    if error.sqlstate in {UNDER_WAY, IN_THE_WAY, CHANGED_SINCE}:
        return ConflictError(message, hint=hint)
    if error.sqlstate == UNREADABLE:
        return UnreachableError(message, hint=hint)
    if isinstance(error, psycopg.IntegrityError):
        return SecretError(message, hint=hint)
    if isinstance(error, psycopg.errors.LockNotAvailable):
        return LockedError(
            "another session holds a lock on the secrets; nothing was changed",
            hint="end its transaction (select * from pg_stat_activity where state <> 'idle'), then run it again",
        )
    return None
