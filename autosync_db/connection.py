"""The one door to a database: every connection is opened here, with timeouts, TLS and a readable error.

Connections keep no session state and prepare no statements, so that they work through a transaction pooler.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg import conninfo
from psycopg.abc import Params, QueryNoTemplate

from autosync_db.errors import AutosyncError, UnreachableError, UsageError
from autosync_db.secret import Secret

APPLICATION_NAME = "autosync-db"
CONNECT_TIMEOUT_SECONDS = 10

Connection = psycopg.Connection[tuple[Any, ...]]

# idle_in_transaction_session_timeout and transaction_timeout
_TIMED_OUT = {"25P03", "25P04"}

_EXIST = """
    select bool_and(coalesce(
        case when n.name like '%%(%%' then to_regprocedure(n.name)::oid else to_regclass(n.name)::oid end, 0
    ) <> 0)
    from unnest(%(names)s::text[]) as n (name)
"""

_HINTS: tuple[tuple[str, str], ...] = (
    (
        r"password authentication failed|no password supplied",
        "check the password in the database URL; on Supabase reset it under Settings > Database",
    ),
    (
        r"Tenant or user not found",
        "through Supabase's pooler the user is postgres.<project ref>",
    ),
    (r"database \".*\" does not exist", "check the database name; on Supabase it is postgres"),
    (r"role \".*\" does not exist", "check the user name; on Supabase it is postgres"),
    (
        r"could not translate host name|resolve host|Name or service not known",
        "check the host name; Supabase's direct host has IPv6 only: from IPv4 networks use the session pooler",
    ),
    (
        r"Network is unreachable|timeout expired|timed out",
        "check network and firewall; from IPv4 networks use the address of Supabase's session pooler",
    ),
    (
        r"terminating connection|closed the connection|connection is (lost|closed)|is (shutting down|starting up)|"
        r"in recovery mode|not accepting connections",
        "the server restarted, or somebody ended the connection: when it is up again, run this again",
    ),
    (r"Connection refused", "check host and port, and that the server is running"),
    (
        r"SSL|TLS|certificate",
        "check sslmode in the database URL; use sslmode=disable only on a private network",
    ),
    (r"no pg_hba.conf entry", "the server does not accept this user from this address: see its pg_hba.conf"),
    (
        r"too many connections|remaining connection slots",
        "close other connections, or use the pooler's address",
    ),
)


def parameters(database_url: Secret | None) -> dict[str, Any]:
    """Return libpq parameters for `database_url`: TLS for hosts that are not local, a name and a time limit.

    Raises UsageError when there is no URL or it cannot be parsed; the message never quotes it.
    """
    if not database_url:
        raise UsageError(
            "no database was named",
            hint="pass --database-url, or set AUTOSYNC_DATABASE_URL, or choose a --target",
        )
    try:
        given = conninfo.conninfo_to_dict(database_url.reveal())
    except psycopg.ProgrammingError:
        raise UsageError(
            "the database URL cannot be parsed",
            hint="use postgresql://USER@HOST:PORT/DATABASE, the password after USER: with reserved characters as %XX",
        ) from None
    chosen: dict[str, Any] = dict(given)
    chosen.setdefault("application_name", APPLICATION_NAME)
    chosen.setdefault("connect_timeout", CONNECT_TIMEOUT_SECONDS)
    if "sslmode" not in chosen and not _is_local(str(chosen.get("hostaddr") or chosen.get("host") or "")):
        chosen["sslmode"] = "require"
    return chosen


@contextmanager
def connect(database_url: Secret | None) -> Iterator[Connection]:
    """Yield an autocommit connection and close it afterwards.

    Raises UnreachableError (exit code 4) when the server cannot be reached, refuses access, or breaks the
    connection off inside the block; the message never contains the password.
    """
    chosen = parameters(database_url)
    try:
        opened = psycopg.connect(**chosen, autocommit=True, prepare_threshold=None)
    except psycopg.OperationalError as error:
        raise _unreachable(error, chosen) from None
    try:
        with opened:
            yield opened
    except psycopg.errors.LockNotAvailable:
        raise  # whoever set a lock_timeout knows what to do
    except psycopg.OperationalError as error:
        # class 08 and 57P0x, or no SQLSTATE at all: the connection itself broke
        if error.sqlstate is None or re.match(r"08|57P0", error.sqlstate):
            raise _unreachable(error, chosen) from error
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


def value(connection: Connection, query: QueryNoTemplate, parameters: Params | None = None) -> Any:
    """Return the first column of the first row, None when the query returns no row. One round trip."""
    row = connection.execute(query, parameters).fetchone()
    return None if row is None else row[0]


def rows(connection: Connection, query: QueryNoTemplate, parameters: Params | None = None) -> list[tuple[Any, ...]]:
    """Return all rows of a query, which must be one that returns rows. One round trip."""
    return connection.execute(query, parameters).fetchall()


def exists(connection: Connection, *names: str) -> bool:
    """Return whether all of these exist: relations (`autosync.job`) and functions (`autosync.settle()`).

    Names carry their schema, functions their argument types as well (`autosync.needed_secrets(text)`). One round
    trip, however many are named. Raises psycopg's InsufficientPrivilege to who may not use the schema.
    """
    return bool(value(connection, _EXIST, {"names": list(names)}))


def access_denied(error: psycopg.Error) -> AutosyncError:
    """Return the error for a statement that the database role was not allowed to run."""
    return UnreachableError(
        f"the database refused access: {error.diag.message_primary}",
        hint="connect as the role that owns the objects; on Supabase that is postgres",
    )


def _unreachable(error: psycopg.Error, chosen: Mapping[str, Any]) -> UnreachableError:
    where = f"{chosen.get('host') or chosen.get('hostaddr') or 'the local socket'}:{chosen.get('port') or 5432}"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    detail = lines[-1] if lines else "the connection was closed"
    for line in lines:
        if "FATAL" in line or "failed: " in line:
            detail = line.rpartition("failed: ")[2].replace("FATAL:", "").strip()
            break
    if password := chosen.get("password"):
        detail = detail.replace(str(password), "***")
    hint = next((hint for pattern, hint in _HINTS if re.search(pattern, str(error))), "check the database URL")
    return UnreachableError(f"cannot use the database at {where}: {detail}", hint=hint)


def _is_local(hosts: str) -> bool:
    """Return whether every host of libpq's list is this machine."""
    for host in hosts.split(","):
        if host in {"", "localhost"} or host.startswith("/"):
            continue
        try:
            if not ipaddress.ip_address(host).is_loopback:
                return False
        except ValueError:
            return False
    return True
