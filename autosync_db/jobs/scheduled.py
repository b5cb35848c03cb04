"""The cron jobs that the settings ask for, as the statements that make them: for files that are run elsewhere.

In a database autosync.job_command() and autosync.house_schedule() decide; the tests hold both to the same answers.
"""

import re

from psycopg import sql

from autosync_db.config import GUIDE_JOB, HOUSEKEEPING_JOB, JobSettings, Settings


def statements(settings: Settings) -> list[str]:
    """Return a statement for each job that runs wherever the file goes, housekeeping included."""
    made = [
        _statement(job.name, job.schedule, command(job), is_on=job.enabled)
        for job in settings.jobs.values()
        if not job.watch and job.schedule is not None and job.targets is None
    ]
    return [*made, _statement(HOUSEKEEPING_JOB, house_schedule(settings), "select autosync.keep_house()", is_on=True)]


def command(job: JobSettings) -> str:
    """Return what the cron job runs."""
    if job.sql is not None:
        return job.sql
    if job.name == GUIDE_JOB:
        return "select autosync.dispatch()"
    return f"select autosync.dispatch({_literal(job.name)})"


def house_schedule(settings: Settings) -> str:
    """Return how often housekeeping is needed: as often as the busiest job that makes calls."""
    minutes = min((_minutes(job) for job in settings.jobs.values() if job.calls and job.enabled), default=5)
    return "* * * * *" if minutes == 1 else f"*/{minutes} * * * *"


def _minutes(job: JobSettings) -> int:
    schedule = job.schedule or ""
    if (job.retry and job.retry.attempts > 1) or job.reports_within:
        return 1
    if "second" in schedule.lower() or re.match(r"\*(\s|/1\s|$)", schedule):
        return 1
    if step := re.match(r"\*/(\d{1,2})\s", schedule):
        return min(5, max(1, int(step[1])))
    return 5 if re.match(r"[\d,]+\s", schedule) else 1


def _statement(name: str, schedule: str, text: str, *, is_on: bool) -> str:
    parts = ", ".join(map(_literal, (name, schedule, text)))
    if is_on:
        return f"select cron.schedule({parts});"
    return f"select cron.schedule_in_database({parts}, current_database(), null, false);"


def _literal(text: str) -> str:
    return sql.Literal(text).as_string()
