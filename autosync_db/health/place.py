"""Which database a screen speaks of: its target, its host, its project, and the time on its clock."""

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

import psycopg

from autosync_db.config import Target
from autosync_db.connection import Connection, value
from autosync_db.credentials import store
from autosync_db.errors import AutosyncError
from autosync_db.jobs import binding


@dataclass(frozen=True, slots=True)
class Place:
    """A database, and the moment at which it was looked at, by the server's clock."""

    target: str
    host: str
    project: str | None
    at: datetime

    @property
    def pieces(self) -> list[str]:
        """Return what a line at the head of a screen says of it, piece by piece."""
        return [f"target {self.target}", *self.address, f"{self.at:%Y-%m-%d %H:%M:%S} UTC"]

    @property
    def address(self) -> list[str]:
        """Return the same without target and time."""
        return [f"host {self.host}", f"project {self.project or 'not known yet'}"]


def look(connection: Connection, target: Target) -> Place:
    """Return where a connection leads. Reads only, and works on a database that was never set up, or is ill."""
    return Place(target.name, _host(connection), _project(connection, target), _now(connection))


def _now(connection: Connection) -> datetime:
    """Return the time by the server's clock: ages by that of this machine would be wrong by their difference."""
    try:
        found: datetime = value(connection, "select clock_timestamp()")
    except psycopg.DatabaseError:
        return datetime.now(UTC)
    return found.astimezone(UTC)


def _host(connection: Connection) -> str:
    """Return the host that was connected to, with port and database where they are not the usual ones."""
    info = connection.info
    port = f":{info.port}" if info.port != 5432 else ""
    return f"{info.host}{port}" + (f", database {info.dbname}" if info.dbname != "postgres" else "")


def _project(connection: Connection, target: Target) -> str | None:
    """Return the project's ref, or the address of one that is not hosted; None where nobody may see it."""
    if target.project_ref:
        return target.project_ref
    try:
        found = target.project_url or (binding.stored(connection) or {}).get("project_ref")
        found = found or binding.called_ref(connection) or store.known_project_url(connection)
    except (psycopg.DatabaseError, AutosyncError):
        return None
    if not found or "://" not in found:
        return found
    try:
        parts = urlsplit(found)
    except ValueError:
        return None
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
