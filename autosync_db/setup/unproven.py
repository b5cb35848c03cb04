"""The row of a job that is being taken over, until a call has proven it: paused, so that only that call is made.

Nobody else schedules a paused job actively, or reports that it does not tick. A command that was killed leaves the row
so, and the next adoption goes on from it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from psycopg import sql
from psycopg.types.json import Jsonb

from autosync_db.connection import Connection, rows, value
from autosync_db.jobs import found, registry

# created_at >= paused_at where an adoption made the row: it begins before that
_LOOK = """
    select to_jsonb(j), j.paused_by like %(unfinished)s || '%%', j.created_at >= j.paused_at
    from autosync.job as j
    where j.name = %(name)s
"""
_NEWEST = "select coalesce(max(a.id), 0) from autosync.adopted as a"
_PAUSED_BY = "select j.paused_by from autosync.job as j where j.name = %s for no key update"
_IS_UNFINISHED = "select exists (select from autosync.job as j where j.name = %s and j.paused_by like %s || '%%')"
# the cron job that a setup has made since
_UNSCHEDULE = """
    select cron.unschedule(c.jobid)
    from cron.job as c
    where c.jobname = %s and c.jobid <> %s and c.username = current_user
        and c.command = autosync.job_command(c.jobname)
"""
_FORGET = (
    b"delete from autosync.invocation as i using autosync.job as j where j.name = %s and i.job_id = j.id",
    b"delete from autosync.tick as t using autosync.job as j where j.name = %s and t.job_id = j.id",
    b"delete from autosync.job as j where j.name = %s",
)


@dataclass(frozen=True, slots=True)
class Before:
    """The row as it was before: `is_unfinished` if by another adoption, `is_new` if there was none before that one.

    `newest_kept` is the number of the newest way back that was kept of any job.
    """

    newest_kept: int
    row: Mapping[str, Any] | None = None
    is_unfinished: bool = False
    is_new: bool = True

    @property
    def pause(self) -> dict[str, Any]:
        """Return since when the job was paused, and by whom, apart from adoptions."""
        kept = self.row if self.row and not self.is_unfinished else {}
        return {name: kept.get(name) for name in ("paused_at", "paused_by")}


def look(connection: Connection, name: str) -> Before:
    """Return what is registered under a name."""
    newest_kept = int(value(connection, _NEWEST))
    for row, is_unfinished, is_younger in rows(connection, _LOOK, {"name": name, "unfinished": registry.UNFINISHED}):
        return Before(newest_kept, row, bool(is_unfinished), bool(is_unfinished and is_younger))
    return Before(newest_kept)


def is_free(connection: Connection, name: str) -> bool:
    """Return whether no job of autosync-db has the name, but one that is not proven yet."""
    if found.standing(connection, name) not in {"ours", "adopted"}:
        return True
    return bool(value(connection, _IS_UNFINISHED, [name, registry.UNFINISHED]))


def begin(connection: Connection, row: Mapping[str, Any], before: Before, token: UUID) -> None:
    """Register a job that is to be proven; an earlier adoption that did not end is gone on with."""
    since = before.row["paused_at"] if before.row and before.is_unfinished else None
    since = since or value(connection, "select to_jsonb(now())")
    register(connection, {**row, "paused_at": since, "paused_by": _paused_by(token)})


def is_held(connection: Connection, name: str, token: UUID) -> bool:
    """Return whether the row is still as this adoption began it, and let nobody change it in this transaction."""
    return bool(value(connection, _PAUSED_BY, [name]) == _paused_by(token))


def take_back(connection: Connection, name: str, before: Before, cron_id: int) -> None:
    """Let everything be as before; `cron_id` is the cron job that was to be taken over."""
    connection.execute(_UNSCHEDULE, [name, cron_id])
    if before.is_new or before.row is None:
        for statement in _FORGET:
            connection.execute(statement, [name])
    else:
        register(connection, {key: one for key, one in before.row.items() if key != "id"})


def register(connection: Connection, row: Mapping[str, Any]) -> None:
    """Let autosync.job have this row, whatever it has under the name."""
    names = [name for name in row if name != "name"]
    connection.execute(
        sql.SQL(
            "insert into autosync.job as j ({all}) select {all}"
            " from jsonb_populate_record(cast(null as autosync.job), %s) as w"
            " on conflict (name) do update set ({names}) = row({new})"
        ).format(
            all=sql.SQL(", ").join(map(sql.Identifier, row)),
            names=sql.SQL(", ").join(map(sql.Identifier, names)),
            new=sql.SQL(", ").join(sql.Identifier("excluded", name) for name in names),
        ),
        [Jsonb(dict(row))],
    )


def _paused_by(token: UUID) -> str:
    return f"{registry.UNFINISHED} ({token.hex[:8]})"  # the token says by which
