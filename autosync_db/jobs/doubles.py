"""Jobs of the settings that are not there yet and that a cron job of somebody else does already, under another name."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from autosync_db import cron
from autosync_db.config import JobSettings, Settings
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.errors import MigrationError, UsageError
from autosync_db.jobs import binding, columns, command_text, found, sameness, twins
from autosync_db.jobs.found import FoundJob


@dataclass(frozen=True, slots=True)
class Double:
    """A job of the settings, and the cron job that makes the same calls, or runs its statement, at the same times."""

    name: str
    job: FoundJob
    is_statement: bool = False

    @property
    def refusal(self) -> MigrationError:
        """Return the refusal to make the second one."""
        other = "without a name" if self.job.name is None else repr(self.job.name)
        does = "runs the statement" if self.is_statement else "makes the calls"
        return MigrationError(
            f"the cron job {other} (number {self.job.id}) {does} of {self.name} already, at the same times;"
            " nothing was changed",
            hint=f"take it over with: autosync-db jobs adopt {self.name} --from {self.job.id}",
        )


def of_new_jobs(connection: Connection, settings: Settings, project_url: str | None = None) -> list[Double]:
    """Return what setup would make a second time. Reads only, at any revision; no calls without PostgreSQL's parser.

    `project_url` is the one of the settings, else the stored one; without any, a function of any project may be meant.
    """
    registered = {name for (name,) in _registered(connection)}
    new = [
        job
        for job in settings.jobs.values()
        if (job.calls or job.sql is not None) and job.schedule is not None and job.name not in registered
    ]
    database = str(value(connection, "select current_database()"))
    others = [
        job
        for job in (found.jobs(connection) if new else ())
        if job.active and job.database == database and job.name not in registered and job.name not in settings.jobs
    ][: twins.MOST_JOBS]
    if not others:
        return []
    statements = [
        Double(job.name, other, is_statement=True)
        for other in others
        for job in new
        if job.sql is not None
        and cron.plain(str(job.schedule)) == cron.plain(other.schedule)
        and _statement(job.sql) == _statement(other.command)
    ]
    callers = [job for job in new if job.calls]
    return [*statements, *_calls(connection, settings, callers, others, project_url)]


def _calls(
    connection: Connection,
    settings: Settings,
    new: Sequence[JobSettings],
    others: Sequence[FoundJob],
    project_url: str | None,
) -> Iterator[Double]:
    """Yield the jobs whose calls are made already."""
    if not new:
        return
    try:
        command_text.require_parser()
    except UsageError:
        return
    functions = twins.functions_of(connection)
    facts = found.DatabaseFacts(connection, None)
    url = project_url or _stored_url(connection)
    made = [
        (job.name, cron.plain(str(job.schedule)), sameness.own(columns.of(job, settings.retention), url, facts.stored))
        for job in new
    ]
    for job in others:
        if (call := twins.understand(job.command, functions).sent) is not None:
            for name, schedule, own in made:
                if schedule == cron.plain(job.schedule) and own.is_same(call, facts):
                    yield Double(name, job)


def _statement(text: str) -> str:
    """Return a text as the check job_unique compares it."""
    return re.sub(r"[\s;]+$", "", re.sub(r"^\s*select\s+", "select ", text, count=1, flags=re.IGNORECASE))


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
