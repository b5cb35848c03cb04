"""The one door to a database: every connection is opened here, with timeouts, TLS and a readable error.

Connections keep no session state and prepare no statements, so that they work through a transaction pooler; what
is sent finds PostgreSQL's names alone (see names).
"""

import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import sql
from psycopg.abc import Params, QueryNoTemplate

from autosync_db import config
from autosync_db.connection import absent, conflicts, names, spelling
from autosync_db.connection.silence import Patient
from autosync_db.connection.url import PARTS_OF_A_URL, Place, parameters, place_of
from autosync_db.errors import AutosyncError, MigrationError, UnreachableError, UsageError
from autosync_db.patience import STATEMENT_SECONDS
from autosync_db.secret import Secret
from autosync_db.supabase import address, refused

Connection = psycopg.Connection[tuple[Any, ...]]

# idle_in_transaction_session_timeout and transaction_timeout
_TIMED_OUT = {"25P03", "25P04"}

# without parameters, and so one round trip
_EXIST = """
    select bool_and(coalesce(
        case when n.name like '%(%' then to_regprocedure(n.name)::oid else to_regclass(n.name)::oid end, 0
    ) <> 0)
    from unnest({}::text[]) as n (name)
"""

# a project's own database host has an IPv4 address only where that is paid for
_DIRECT_HOST = re.compile(r"db\.[a-z]{20}\.supabase\.(co|in)")


@contextmanager
def connect(database_url: Secret | None, *, patience: float = STATEMENT_SECONDS) -> Iterator[Connection]:
    """Yield an autocommit connection, each statement of which ends in `patience` seconds, and close it afterwards.

    Raises UnreachableError (exit code 4) when the server cannot be reached, refuses access, says nothing, or breaks
    the connection off inside the block; the message never contains the password.
    """
    chosen = parameters(database_url)
    place = place_of(database_url, chosen)
    _require_route(chosen)
    try:
        opened = Patient.connect(**chosen, autocommit=True, prepare_threshold=None, cursor_factory=names.Pinned)
    except psycopg.OperationalError as error:
        raise _of_the_project(database_url, place, error) or place.unreachable(error) from None
    except psycopg.ProgrammingError:
        # psycopg's own judgement of a parameter, which it quotes
        raise UsageError("the database URL cannot be parsed", hint=PARTS_OF_A_URL) from None
    opened.patience = patience
    spelling.read_times(opened)
    try:
        with opened, conflicts.explained(opened):
            yield opened
    except psycopg.OperationalError as error:
        if is_broken(error):
            raise place.unreachable(error, hint=getattr(error, "hint", refused.ENDED)) from error
        raise UnreachableError(
            f"the server ended a statement: {error.diag.message_primary or error}",
            hint="see statement_timeout and lock_timeout of this role and database, then run it again",
        ) from error
    except psycopg.errors.InsufficientPrivilege as error:
        raise access_denied(error) from error
    except psycopg.errors.InternalError as error:
        if error.sqlstate not in _TIMED_OUT:
            raise
        raise UnreachableError(
            f"the server ended the connection: {error.diag.message_primary or error}",
            hint="see idle_in_transaction_session_timeout and transaction_timeout of this role and database,"
            " then run it again",
        ) from error


def _of_the_project(database_url: Secret | None, place: Place, error: psycopg.Error) -> UnreachableError | None:
    """Return what the Management API says of a project of which nothing answers, None where it says nothing."""
    ref = address.ref_of_database(database_url) if database_url and refused.may_be_gone(str(error)) else None
    found = config.why_gone(ref) if ref else None
    if found is None:
        return None
    where = f"the database at {place.shown}" if place.shown else "the database"
    return UnreachableError(f"cannot use {where}: {found.reason}", hint=found.hint)


def is_broken(error: BaseException) -> bool:
    """Return whether an error says that the connection itself broke: class 08 and 57P0x, or no SQLSTATE at all."""
    if not isinstance(error, psycopg.OperationalError):
        return False
    return error.sqlstate is None or re.match(r"08|57P0", error.sqlstate) is not None


def value(connection: Connection, query: QueryNoTemplate, parameters: Params | None = None) -> Any:
    """Return the first column of the first row, None when the query returns no row."""
    row = connection.execute(query, parameters).fetchone()
    return None if row is None else row[0]


def rows(connection: Connection, query: QueryNoTemplate, parameters: Params | None = None) -> list[tuple[Any, ...]]:
    """Return all rows of a query, which must be one that returns rows."""
    return connection.execute(query, parameters).fetchall()


def exists(connection: Connection, *wanted: str) -> bool:
    """Return whether all of these exist: relations (`autosync.job`) and functions (`autosync.settle()`).

    Names carry their schema, functions their argument types as well (`autosync.needed_secrets(text)`). One round
    trip, however many are named. Raises psycopg's InsufficientPrivilege when the role may not use a schema.
    """
    return bool(value(connection, sql.SQL(_EXIST).format(sql.Literal(list(wanted)))))


def require(connection: Connection, *wanted: str) -> None:
    """Return if all of these exist (`exists`). Raises MigrationError, which says how the database gets them, if not."""
    if not exists(connection, *wanted):
        raise absent.explain(connection) or MigrationError(
            f"this database lacks {', '.join(wanted)}", hint="see what is wrong with: autosync-db verify"
        )


def access_denied(error: psycopg.Error) -> AutosyncError:
    """Return the error for a statement that the database role was not allowed to run."""
    return UnreachableError(
        f"the database refused access: {error.diag.message_primary}",
        hint="connect as the role that owns the objects; on Supabase that is postgres",
    )


def _require_route(chosen: Mapping[str, Any]) -> None:
    """Raise UnreachableError for a project's own host that has IPv6 addresses only, where this machine has no IPv6.

    The system itself only says that an address cannot be assigned, on some machines after a wait.
    """
    host = str(chosen.get("host") or "")
    if not _DIRECT_HOST.fullmatch(host) or chosen.get("hostaddr"):
        return
    try:
        found = socket.getaddrinfo(host, int(chosen.get("port") or 5432), type=socket.SOCK_DGRAM)
    except OSError:
        return  # libpq says so
    if found and all(family == socket.AF_INET6 for family, *_ in found) and not any(map(_has_route, found)):
        raise UnreachableError(
            f"cannot use the database at {host}: it has an IPv6 address only, and this machine has no IPv6",
            hint=refused.SESSION_POOLER,
        )


def _has_route(found: tuple[Any, ...]) -> bool:
    """Return whether this machine knows a way to an address; nothing is sent."""
    family, kind, protocol, _, address = found
    try:
        with socket.socket(family, kind, protocol) as probe:
            probe.connect(address)
    except OSError:
        return False
    return True
