"""The one door to a database: every connection is opened here, with timeouts, TLS and a readable error.

Connections keep no session state and prepare no statements, so that they work through a transaction pooler; what
is sent finds PostgreSQL's names alone (see names).
"""

import ipaddress
import re
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg import conninfo, sql
from psycopg.abc import Params, QueryNoTemplate

from autosync_db import config
from autosync_db import patience as patiences
from autosync_db.connection import absent, conflicts, names, pasted
from autosync_db.connection.silence import Patient
from autosync_db.errors import AutosyncError, MigrationError, UnreachableError, UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import address, refused

APPLICATION_NAME = "autosync-db"
CONNECT_TIMEOUT_SECONDS = 10

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

_PARTS_OF_A_URL = (
    "use postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in the password write @ as %40, / as %2F, ? as %3F, # as %23,"
    " % as %25 and a blank as %20, and replace all of Supabase's placeholder [YOUR-PASSWORD], brackets included"
)
# of the dashboard, as it is or without its brackets
_PLACEHOLDER = re.compile(
    r"(?i:\[your[-_ ]password\])|://[^:/@]*:(?:YOUR[-_]PASSWORD|\[[A-Za-z_ -]*(?i:password)\]|<[A-Za-z_ -]+>)@"
)
_TAKEN = re.compile(r"^[a-z_]+=|(?i:password)\s*=")
_UNEXPANDED = re.compile(r"://[^:/@]*:(\$(?:[A-Z_][A-Z0-9_]*|\{[A-Za-z0-9_]+\}))@")
# a project's own database host has an IPv4 address only where that is paid for
_DIRECT_HOST = re.compile(r"db\.[a-z]{20}\.supabase\.(co|in)")


def parameters(database_url: Secret | None) -> dict[str, Any]:
    """Return libpq parameters for `database_url`: TLS for hosts that are not local, a name and a time limit.

    Raises UsageError when there is no URL, or one that cannot be parsed or is misread, as by an unescaped character in
    its password; the message never quotes it.
    """
    if not database_url:
        raise config.no_database()
    text = database_url.reveal()
    if _PLACEHOLDER.search(unquote(text)):
        raise UsageError(
            "the database URL holds the placeholder [YOUR-PASSWORD] instead of a password", hint=_PARTS_OF_A_URL
        )
    if found := _UNEXPANDED.search(text):
        raise UsageError(
            f"the database URL holds {found[1]} itself instead of its value",
            hint='the shell fills variables in within "double quotes" alone; a $ of the password itself is written %24',
        )
    address.require_database(text)
    try:
        given = conninfo.conninfo_to_dict(text)
    except (psycopg.ProgrammingError, UnicodeError):  # %a5 is no character
        given = {}
    if not given or _is_misread(text, given):
        raise pasted.explain(text) or UsageError("the database URL cannot be parsed", hint=_PARTS_OF_A_URL)
    chosen: dict[str, Any] = {**patiences.OF_THE_LINE, **given}
    chosen.setdefault("application_name", APPLICATION_NAME)
    chosen.setdefault("connect_timeout", patiences.of_connecting(CONNECT_TIMEOUT_SECONDS))
    if "sslmode" not in chosen and not _is_local(str(chosen.get("hostaddr") or chosen.get("host") or "")):
        chosen["sslmode"] = "require"
    return chosen


def place(database_url: Secret | None) -> str:
    """Return host and port as a message may show them, or `the database` where no piece of the URL is safe to show."""
    return _place(database_url, parameters(database_url)).shown or "the database"


@contextmanager
def connect(database_url: Secret | None, *, patience: float = patiences.STATEMENT_SECONDS) -> Iterator[Connection]:
    """Yield an autocommit connection, each statement of which ends in `patience` seconds, and close it afterwards.

    Raises UnreachableError (exit code 4) when the server cannot be reached, refuses access, says nothing, or breaks
    the connection off inside the block; the message never contains the password.
    """
    chosen = parameters(database_url)
    place = _place(database_url, chosen)
    _require_a_way(chosen)
    try:
        opened = Patient.connect(**chosen, autocommit=True, prepare_threshold=None, cursor_factory=names.Pinned)
    except psycopg.OperationalError as error:
        raise _of_the_project(database_url, place, error) or place.unreachable(error) from None
    except psycopg.ProgrammingError:
        # psycopg's own judgement of a parameter, which it quotes
        raise UsageError("the database URL cannot be parsed", hint=_PARTS_OF_A_URL) from None
    opened.patience = patience
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


def _of_the_project(database_url: Secret | None, place: "_Place", error: psycopg.Error) -> UnreachableError | None:
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


@dataclass(frozen=True, slots=True)
class _Place:
    """A database's address, and what of it a message may show: only what is certainly no piece of a password."""

    shown: str | None
    public: frozenset[str]
    private: tuple[str, ...]

    def unreachable(self, error: psycopg.Error, hint: str | None = None) -> UnreachableError:
        """Return the error for a connection that could not be made, or broke."""
        detail = error.diag.message_primary or _reason(str(error))
        where = f"the database at {self.shown}" if self.shown else "the database"
        return UnreachableError(f"cannot use {where}: {self._masked(detail)}", hint=hint or refused.hint(str(error)))

    def _masked(self, text: str) -> str:
        for part in self.private:
            # a short one would make holes in words; what it names is quoted
            if len(part) >= 4:
                text = text.replace(part, "***")
        return re.sub(r"\"([^\"]*)\"|(?<!\w)'([^']*)'(?!\w)", self._masked_quotation, text)

    def _masked_quotation(self, found: re.Match[str]) -> str:
        quoted = found[1] or found[2] or ""
        if quoted in self.public or not any(quoted in part for part in self.private):
            return found[0]
        return found[0][0] + "***" + found[0][-1]


def _reason(text: str) -> str:
    """Return what libpq gives as the reason, which has no fixed place among its lines."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    for line in lines:
        if "FATAL" in line or "failed: " in line:
            return line.rpartition("failed: ")[2].replace("FATAL:", "").strip()
    return lines[-1] if lines else "the connection was closed"


def _require_a_way(chosen: Mapping[str, Any]) -> None:
    """Raise UnreachableError for a project's own host that has IPv6 addresses only, where this machine has no IPv6.

    The system's words for it are of an address that cannot be assigned, after a wait on some machines.
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


def _place(database_url: Secret | None, chosen: Mapping[str, Any]) -> _Place:
    text = database_url.reveal() if database_url else ""
    rest = _after_scheme(text)
    host = str(chosen.get("host") or chosen.get("hostaddr") or "")
    # of several hosts without ports libpq's port is the commas alone
    port = str(chosen.get("port") or "").strip(",") or "5432"
    # in a URL that lacks its host, the user or a piece of the password stands where a host would
    is_certain = rest is None or all("." in one or _is_local(one) for one in host.split(","))
    # what begins with a / is the folder of a socket to libpq, whatever stands there
    is_certain = is_certain and re.fullmatch(r"[\w.,:/%@~+-]*", host) is not None
    public = {*host.split(","), *port.split(",")} if is_certain else set()
    if is_certain and re.fullmatch(r"[\w.$-]+", str(chosen.get("dbname", ""))):
        public.add(str(chosen["dbname"]))
    if rest is None or ":" in rest.partition("@")[0]:
        public.add(str(chosen.get("user", "")))
    password = str(chosen.get("password", ""))
    private = {
        text,
        unquote(text),
        *(str(chosen[name]) for name in ("user", "dbname", "host", "port", "password") if name in chosen),
    } - public
    return _Place(
        f"{host or 'the local socket'}:{port}" if is_certain else None,
        frozenset(public - {password}),
        tuple(sorted(private | {password}, key=len, reverse=True)),
    )


def _is_misread(text: str, given: Mapping[str, Any]) -> bool:
    """Return whether libpq took a part of the password for host, port or database, or something else is wrong there.

    In a URL the first @ ends the password, unless a / came before it. In a keyword string a value that is empty, as of
    a variable that is not set, takes the word behind it: `user= password=...`.
    """
    rest = _after_scheme(text)
    if any(_TAKEN.search(str(value)) for name, value in given.items() if name not in {"password", "options"}):
        return True
    if rest is not None and (rest.count("@") > 1 or "@" in rest.partition("/")[2]):
        return True
    ports = [port for port in str(given.get("port") or "").split(",") if port]
    if not all(re.fullmatch(r"[0-9]{1,5}", port) and 0 < int(port) < 65536 for port in ports):
        return True
    hosts = f"{given.get('host') or ''},{given.get('hostaddr') or ''}".split(",")
    return not all(re.fullmatch(r"|/.*|@\S*|[\w.-]+", host) or _is_address(host) for host in hosts)


def _after_scheme(text: str) -> str | None:
    """Return what follows the scheme of a URL, None for a keyword string."""
    found = re.fullmatch(r"postgres(?:ql)?://(.*)", text, re.DOTALL)
    return found[1] if found else None


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return True


def _is_local(hosts: str) -> bool:
    """Return whether every host of libpq's list is this machine."""
    for host in hosts.split(","):
        if host in {"", "localhost"} or host.startswith("/"):
            continue
        if not _is_address(host) or not ipaddress.ip_address(host).is_loopback:
            return False
    return True
