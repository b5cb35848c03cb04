"""Give a cron job that was taken over back to its own text."""

from collections.abc import Iterable
from dataclasses import dataclass

from autosync_db.connection import Connection, rows, value
from autosync_db.errors import UsageError
from autosync_db.jobs import found, kept_text, registry
from autosync_db.setup.adopting import OBJECT


@dataclass(frozen=True, slots=True)
class Released:
    """A cron job that has its own text again; `reads_store`: a secret that was in it is read from the store now.

    `fails`: why the server refuses that text, so that the job was switched off.
    """

    id: int
    name: str | None
    active: bool
    reads_store: bool
    fails: str | None = None

    @property
    def said(self) -> list[str]:
        """What has become of it, in sentences."""
        called = f"the cron job {self.name or self.id}"
        if self.active:
            said = [f"{called} runs its own text again"]
        elif self.fails:
            said = [f"{called} is back, and inactive: its text would not run ({self.fails})"]
        else:
            said = [f"{called} is back, and inactive as kept"]
        if self.reads_store:
            said.append("the secret that was in its text is read from the store now: keep it there")
        return said


def require_adopted(connection: Connection, name: str) -> None:
    """Return if the job was taken over from somebody. Raises UsageError if not."""
    if found.standing(connection, name) != "adopted":
        raise UsageError(
            f"the job {name!r} was not taken over",
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
            "select c.jobid, c.jobname, c.active, c.command from cron.job as c"
            " where c.jobname = %s or c.jobid > %s order by c.jobid desc limit 1",
            [name, newest],
        )
        cron_id, cron_name, active, command = back
        reads_store = "autosync.secret_reference(" in statement
        # what was kept by an earlier version may not run
        fails = kept_text.fault_of(connection, command) if active and reads_store else None
        if fails:
            connection.execute("select cron.alter_job(%s, active := false)", [cron_id])
    return Released(cron_id, cron_name, active and not fails, reads_store, fails)


def adopted(connection: Connection, names: Iterable[str]) -> list[str]:
    """Return those of the jobs that were taken over, which remove() restores."""
    return [name for name in names if found.standing(connection, name) == "adopted"]


def remove(connection: Connection, name: str) -> list[str]:
    """Remove a job from the registry: restore one that was taken over, unschedule one of ours; return what was done.

    Raises what registry.remove() and release() raise.
    """
    if adopted(connection, [name]):
        return release(connection, name).said
    registry.remove(connection, name)
    return [f"removed {name}"]


def kept_undo(connection: Connection, name: str) -> str:
    """Return the statement that gives the text of an adopted job back; it holds no secret. Raises UsageError."""
    require_adopted(connection, name)
    return str(value(connection, "select a.undo from autosync.adopted as a where a.object = %s", [OBJECT.format(name)]))
