"""Give a cron job that was taken over back to its own text."""

from dataclasses import dataclass

from autosync_db.connection import Connection, rows, value
from autosync_db.errors import UsageError
from autosync_db.jobs import found, registry
from autosync_db.setup.adopting import OBJECT


@dataclass(frozen=True, slots=True)
class Released:
    """A cron job that has its own text again; `reads_store`: a secret that was in it is read from the store now."""

    id: int
    name: str | None
    active: bool
    reads_store: bool


def require_adopted(connection: Connection, name: str) -> None:
    """Return if the job was taken over from somebody. Raises UsageError if not."""
    if found.standing(connection, name) != "adopted":
        raise UsageError(
            f"the job {name!r} was not taken over from anybody",
            hint=f"to remove a job of your own: autosync-db jobs remove {name}",
        )


def release(connection: Connection, name: str) -> Released:
    """Give the text of an adopted job back and forget the job; its history goes with housekeeping.

    Raises UsageError for a job that was not adopted.
    """
    with registry.change(connection):
        statement = kept_undo(connection, name)
        if not statement.startswith("select cron.schedule("):
            connection.execute("select cron.unschedule(%s)", [name])
        newest = int(value(connection, "select coalesce(max(c.jobid), 0) from cron.job as c"))
        connection.execute(statement.encode())
        connection.execute("delete from autosync.adopted as a where a.object = %s", [OBJECT.format(name)])
        connection.execute("delete from autosync.job as j where j.name = %s", [name])
        registry.keep_house_in_step(connection)
        [back] = rows(
            connection,
            "select c.jobid, c.jobname, c.active from cron.job as c"
            " where c.jobname = %s or c.jobid > %s order by c.jobid desc limit 1",
            [name, newest],
        )
    cron_id, cron_name, active = back
    return Released(cron_id, cron_name, active, "autosync.secret_reference(" in statement)


def kept_undo(connection: Connection, name: str) -> str:
    """Return the statement that gives the text of an adopted job back; it holds no secret. Raises UsageError."""
    require_adopted(connection, name)
    return str(value(connection, "select a.undo from autosync.adopted as a where a.object = %s", [OBJECT.format(name)]))
