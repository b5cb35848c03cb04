"""No two of the other jobs do the same at the same times."""

from typing import TYPE_CHECKING

from autosync_db import cron
from autosync_db.health import other_jobs
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou

if TYPE_CHECKING:
    from autosync_db.jobs.twins import OtherJob

_QUERY = f"""
select jsonb_build_object(
    'are_there', {other_jobs.ARE_THERE},
    'is_hidden', row_security_active('cron.job')
) as fact
"""


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    facts = answer.values[0]
    rows = []
    if facts["is_hidden"]:
        detail = "jobs of other roles are not visible to this role"
        rows.append(Row("unknown", "table cron.job", detail, {"reason": "hidden", "table": "cron.job"}))
    if not facts["are_there"]:
        return rows
    from autosync_db.jobs import found
    from autosync_db.jobs.texts import sameness

    # a second tick of a job of ours is a matter of job_unique
    others = [job for job in other_jobs.read(answer) if not job.names_ours]
    alike = ((job, cron.times(job.schedule), job.effect, job.sent) for job in others)
    return rows + [_row(*pair) for pair in sameness.twins(alike, found.DatabaseFacts(answer.connection, None))]


def _row(job: "OtherJob", other: "OtherJob") -> Row:
    what = "makes the same call" if job.is_call else "runs the same text"
    through = f" through {job.through}" if job.through else ""
    detail = f"job {job.id} of role {job.role} {what}{through} at the same times ({job.schedule}) as {other.shown}"
    facts = {
        "job_id": job.id,
        "job": job.name,
        "role": job.role,
        "cron_schedule": job.schedule,
        "function": job.through,
        "twin_of": other.id,
    }
    return Row("warning", f"cron job {job.shown}", detail, facts)


CHECK = Check(
    layer="neighbours",
    claim="no two of the other cron jobs do the same at the same times",
    remedy=ByYou("keep one of the two: select cron.unschedule({job_id})", where="as the role {role}"),
    needs=("head_applied", "pg_cron_installed", "privileges_sufficient"),
    question=Question(_query, _read),
)
