"""Who else holds a secret that a rotation replaces: other jobs, functions, settings, and secrets of other names.

The database compares the whole value (autosync.replaced_held_by()); it does not leave it, and nothing of it is shown.
"""

from dataclasses import dataclass

import psycopg

from autosync_db.connection import Connection, exists, rows
from autosync_db.credentials.lease import Rotation
from autosync_db.supabase import key

_QUERY = "select h.place, h.name, h.reason from autosync.replaced_held_by(%s) as h"
# the lease of the rotation lasts for longer
_PATIENCE = b"set local statement_timeout = '10s'"


@dataclass(frozen=True, slots=True)
class Holder:
    """Something that still holds an old value: of which kind it is, e.g. `cron job`, and which one."""

    place: str
    name: str


@dataclass(frozen=True, slots=True)
class Unseen:
    """Where nobody could look, e.g. `vault secret`, and why not."""

    place: str
    reason: str


@dataclass(frozen=True, slots=True)
class Look:
    """Who else holds the old value, and where it is not known."""

    still_held_by: tuple[Holder, ...] = ()
    not_looked_at: tuple[Unseen, ...] = ()


def of_replaced(connection: Connection, begun: Rotation) -> Look:
    """Return who else holds what a rotation has kept; before it is finished, as that deletes the value. Reads only."""
    if not exists(connection, "autosync.replaced_held_by(uuid)"):
        return Look((), (Unseen("database", "it is older than this command: run autosync-db migrate"),))
    try:
        with connection.transaction():
            connection.execute(_PATIENCE)
            found = rows(connection, _QUERY, [begun.token])
    except psycopg.Error as error:
        if connection.broken:
            raise
        # what a call has proven is not given up for this
        return Look((), (Unseen("database", key.redact(error.diag.message_primary or type(error).__name__)),))
    return Look(
        tuple(Holder(place, name) for place, name, reason in found if reason is None),
        tuple(Unseen(place, reason) for place, _, reason in found if reason is not None),
    )
