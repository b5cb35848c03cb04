"""A job is run now because somebody asks for it: what must hold before, and what comes of it."""

from collections.abc import Callable

from autosync_db.config import Configuration, JobSettings
from autosync_db.connection import Connection, rows
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


def tick(connection: Connection, job: JobSettings) -> str:
    """Run one tick as pg_cron would, which makes no call when nothing is due, and return in a line what came of it."""
    tick_id, answers = calls.trigger_and_wait(connection, job.name, job.patience, force=False)
    [(decision, due, ticked_at)] = rows(
        connection, "select t.decision, t.due, t.ticked_at from autosync.tick as t where t.id = %s", [tick_id]
    )
    outcome = ", ".join(f"{answer.cause.value} {answer.account}" for answer in answers) or decision
    return f"{ticked_at:%H:%M:%S} tick {tick_id}: {due} due, {outcome}"
