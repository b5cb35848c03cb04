"""Jobs of the settings that are not there yet and that a cron job of somebody else does already, under another name."""

from dataclasses import dataclass

import psycopg

from autosync_db import cron
from autosync_db.config import Settings
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.errors import MigrationError, UsageError
from autosync_db.jobs import binding, columns, found, twins
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.texts import command_text, sameness


@dataclass(frozen=True, slots=True)
class Double:
    """A job of the settings, and the cron job that makes the same calls, or runs the same, at the same times."""

    name: str
    job: FoundJob
    does: str  # what it does already

    @property
    def refusal(self) -> MigrationError:
        """Return the refusal to make the second one."""
        other = "without a name" if self.job.name is None else repr(self.job.name)
        return MigrationError(
            f"the cron job {other} (number {self.job.id}) {self.does} of {self.name} already, at the same times;"
            " nothing was changed",
            hint=f"take it over with: autosync-db jobs adopt {self.name} --from {self.job.id}",
        )


def of_new_jobs(connection: Connection, settings: Settings, project_url: str | None = None) -> list[Double]:
    """Return what setup would make a second time. Reads only, at any revision; none without PostgreSQL's parser.

    `project_url` is the one of the settings, else the stored one; without any, a function of any project may be meant.
    """
    registered = {name for (name,) in _registered(connection)}
    new = [
        job
        for job in settings.jobs.values()
        if job.kind != "watch" and job.schedule is not None and job.name not in registered
    ]
    database = str(value(connection, "select current_database()"))
    others = [
        job
        for job in (found.jobs(connection) if new else ())
        if job.active and job.database == database and job.name not in registered and job.name not in settings.jobs
    ][: twins.MOST_JOBS]
    if not others:
        return []
    try:
        command_text.require_parser()
    except UsageError:
        return []
    functions = twins.functions_of(connection)
    facts = found.DatabaseFacts(connection, None)
    url = project_url or _stored_url(connection)
    calls = [
        (job.name, cron.times(str(job.schedule)), sameness.own(columns.of(job, settings.retention), url, facts.stored))
        for job in new
        if job.calls
    ]
    statements = [
        (job.name, cron.times(str(job.schedule)), twins.understand(str(job.sql), functions).effect)
        for job in new
        if job.kind == "sql"
    ]
    doubles = []
    for other in others:
        done, at = twins.understand(other.command, functions), cron.times(other.schedule)
        doubles += [
            Double(name, other, "makes the calls")
            for name, schedule, own in calls
            if done.sent is not None and schedule == at and own.is_same(done.sent, facts)
        ]
        doubles += [
            Double(name, other, "runs the statement")
            for name, schedule, effect in statements
            if done.sent is None and (schedule, effect) == (at, done.effect)
        ]
    return doubles


def _registered(connection: Connection) -> list[tuple[str]]:
    if not exists(connection, "autosync.job"):
        return []
    return rows(connection, "select j.name from autosync.job as j where not j.watch")


def _stored_url(connection: Connection) -> str | None:
    try:
        with connection.transaction():
            return binding.called_url(connection)
    except psycopg.DatabaseError:
        return None  # it may not be looked at
