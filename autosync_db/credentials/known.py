"""What is known of a project besides its stored secrets, so that a lost one can be put back."""

from dataclasses import dataclass

from autosync_db.config import Configuration
from autosync_db.connection import Connection, exists, value
from autosync_db.secret import Secret


@dataclass(frozen=True, slots=True)
class KnownKey:
    """A service key that is at hand, and in a few words where."""

    key: Secret
    source: str


@dataclass(frozen=True, slots=True)
class KnownAddress:
    """The address of the project, and in a few words how that is known."""

    url: str
    source: str


def address(connection: Connection, configuration: Configuration) -> KnownAddress | None:
    """Return the address that the target names, or else the one at which a call succeeded last."""
    target = configuration.target
    if target.project_url is not None:
        return KnownAddress(target.project_url, f"as target {target.name} says")
    if not exists(connection, "autosync.proven_address()"):
        return None
    found = value(connection, "select autosync.proven_address()")
    return None if found is None else KnownAddress(str(found), "as the last call that succeeded had it")


def keep_address(connection: Connection) -> None:
    """Remember the stored address if a call to it has succeeded."""
    connection.execute("select autosync.keep_address()")
