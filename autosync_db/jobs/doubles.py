"""Jobs of the settings that are not there yet and that a cron job of somebody else does already, under another name."""

from dataclasses import dataclass

from autosync_db import cron
from autosync_db.config import Settings
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.errors import MigrationError, UsageError
from autosync_db.jobs import columns, command_text, found, twins
from autosync_db.jobs.found import FoundJob


@dataclass(frozen=True, slots=True)
class Double:
    """A job of the settings, and the cron job that makes the same calls at the same times."""

    name: str
    job: FoundJob

    @property
    def refusal(self) -> MigrationError:
        """Return the refusal to make the second one."""
        other = "without a name" if self.job.name is None else repr(self.job.name)
        return MigrationError(
            f"the cron job {other} (number {self.job.id}) makes the calls of {self.name} already, at the same times;"
            " nothing was changed",
            hint=f"take it over with: autosync-db jobs adopt {self.name} --from {self.job.id}",
        )


def of_new_jobs(connection: Connection, settings: Settings) -> list[Double]:
    """Return what setup would make a second time. Reads only, at any revision; none without PostgreSQL's parser."""
    registered = {name for (name,) in _registered(connection)}
    made = {
        (_effect(columns.of(job, settings.retention)), cron.plain(job.schedule)): name
        for name, job in settings.jobs.items()
        if job.calls and job.schedule is not None and name not in registered
    }
    database = str(value(connection, "select current_database()"))
    others = [
        job
        for job in (found.jobs(connection) if made else ())
        if job.active and job.database == database and job.name not in registered and job.name not in settings.jobs
    ][: twins.MOST_JOBS]
    if not others:
        return []
    try:
        command_text.require_parser()
    except UsageError:
        return []
    functions = twins.functions_of(connection)
    return [
        Double(made[done], job)
        for job in others
        if (done := (twins.understand(job.command, functions).effect, cron.plain(job.schedule))) in made
    ]


def _registered(connection: Connection) -> list[tuple[str]]:
    if not exists(connection, "autosync.job"):
        return []
    return rows(connection, "select j.name from autosync.job as j where not j.watch")


def _effect(row: dict[str, object]) -> str:
    return twins.comparable(**{name: row[name] for name in ("method", "body", "headers", "function", "url")})  # type: ignore[arg-type]
