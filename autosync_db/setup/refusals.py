"""What a set-up refuses of the jobs of the settings, whatever else it is given: `plan` shows it before."""

from collections.abc import Iterable, Iterator

from autosync_db import cron
from autosync_db.config import Configuration, Settings
from autosync_db.connection import Connection
from autosync_db.errors import AutosyncError, UsageError
from autosync_db.jobs import doubles, registry, undeclared
from autosync_db.jobs.doubles import Double
from autosync_db.schema import preflight


def read(connection: Connection, configuration: Configuration) -> list[AutosyncError]:
    """Return the refusals of a set-up with these settings; none where nothing is in its way. Reads only."""
    settings = registry.registered(connection, configuration.settings)
    return list(
        of_jobs(
            settings,
            registry.taken(connection, settings, undeclared.declared_jobs(configuration)),
            doubles.of_new_jobs(connection, settings, configuration.target.project_url),
            preflight.pg_cron_version(connection),
        )
    )


def of_jobs(
    settings: Settings, taken: Iterable[str], doubles: Iterable[Double], pg_cron_version: str | None
) -> Iterator[AutosyncError]:
    """Yield a refusal for each name and each call that somebody else's cron job has, and each schedule that none runs.

    They are MigrationError and UsageError.
    """
    for name in taken:
        yield registry.name_is_taken(name)
    for double in doubles:
        yield double.refusal
    for job in settings.jobs.values():
        try:
            if job.schedule is not None:
                cron.check(job.schedule, pg_cron_version)
        except UsageError as error:
            yield error
