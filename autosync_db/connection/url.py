"""What a database URL says: the parameters that libpq gets of it, and what of it a message may show."""

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import psycopg
from psycopg import conninfo

from autosync_db import config
from autosync_db.connection import pasted
from autosync_db.errors import UnreachableError, UsageError
from autosync_db.patience import KEEPALIVE, connect_seconds
from autosync_db.secret import Secret
from autosync_db.supabase import address, refused

APPLICATION_NAME = "autosync-db"
CONNECT_TIMEOUT_SECONDS = 10
PARTS_OF_A_URL = (
    "use postgresql://USER:PASSWORD@HOST:PORT/DATABASE; in the password write @ as %40, / as %2F, ? as %3F, # as %23,"
    " % as %25 and a blank as %20, and replace all of Supabase's placeholder [YOUR-PASSWORD], brackets included"
)
# of the dashboard, as it is or without its brackets
_PLACEHOLDER = re.compile(
    r"(?i:\[your[-_ ]password\])|://[^:/@]*:(?:YOUR[-_]PASSWORD|\[[A-Za-z_ -]*(?i:password)\]|<[A-Za-z_ -]+>)@"
)
# a keyword where the value of another one was to be
_TAKEN = re.compile(r"^[a-z_]+=|(?i:password)\s*=")
_UNEXPANDED = re.compile(r"://[^:/@]*:(\$(?:[A-Z_][A-Z0-9_]*|\{[A-Za-z0-9_]+\}))@")


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
            "the database URL holds the placeholder [YOUR-PASSWORD] instead of a password", hint=PARTS_OF_A_URL
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
        raise pasted.explain(text) or UsageError("the database URL cannot be parsed", hint=PARTS_OF_A_URL)
    # whatever role, database or PGCLIENTENCODING say: names are Unicode here
    chosen: dict[str, Any] = {**KEEPALIVE, **given, "client_encoding": "UTF8"}
    chosen.setdefault("application_name", APPLICATION_NAME)
    chosen.setdefault("connect_timeout", connect_seconds(CONNECT_TIMEOUT_SECONDS))
    if "sslmode" not in chosen and not _is_local(str(chosen.get("hostaddr") or chosen.get("host") or "")):
        chosen["sslmode"] = "require"
    return chosen


def shown_place(database_url: Secret | None) -> str:
    """Return host and port as a message may show them, or `the database` where no piece of the URL is safe to show."""
    return place_of(database_url, parameters(database_url)).shown or "the database"


@dataclass(frozen=True, slots=True)
class Place:
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


def place_of(database_url: Secret | None, chosen: Mapping[str, Any]) -> Place:
    """Return the address of a URL, whose parameters are `chosen`."""
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
    return Place(
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
