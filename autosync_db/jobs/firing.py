"""A job is run now because somebody asks for it: what must hold before, and what comes of it."""

from collections.abc import Callable

from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.errors import CheckFailedError
from autosync_db.jobs import binding, calls, registry, statement
from autosync_db.jobs.registry import Job


def ready(connection: Connection, configuration: Configuration, name: str | None) -> Job:
    """Return the job if it may be run from here. Raises UsageError, or CheckFailedError for another project's copy.

    A paused one may: that somebody asks for it is enough. What is only watched, and what a copy would call, is not run.
    """
    job = registry.choose(connection, configuration.settings, name)
    registry.require_ours(job)
    if job.makes_calls:
        binding.require_own(binding.notice(connection, configuration))
    return job


def fire(connection: Connection, job: Job, say: Callable[[str], None] | None = None) -> str:
    """Run a job that is ready and return in words what came of it. Raises CheckFailedError where it is no success."""
    if not job.makes_calls:
        ran = statement.run(connection, job)
        statement.require_success(ran)
        return f"{ran.result} in {ran.seconds:.1f} s"
    _, answers = calls.trigger_and_wait(connection, job.name, job.patience, say)
    calls.require_success(answers)
    if not answers:
        raise CheckFailedError(f"the tick of {job.name} made no call", hint="find the cause with: autosync-db verify")
    return ", ".join(answer.account for answer in answers)
