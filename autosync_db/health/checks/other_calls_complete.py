"""The calls of other jobs are sent, with the credentials that their texts name."""

from autosync_db.errors import UsageError
from autosync_db.health import other_jobs
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou

_QUERY = f"""
select jsonb_build_object('are_there', {other_jobs.ARE_THERE}, 'role', current_user) as fact
"""


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    facts = answer.values[0]
    if not facts["are_there"]:
        return []
    try:
        others = {job.id for job in other_jobs.read(answer) if not job.names_ours}
    except UsageError:
        # other_jobs_unique says unknown
        return []
    from autosync_db.health.audit.texts import read_text
    from autosync_db.jobs import found, twins

    functions = twins.functions_of(answer.connection)
    about = found.DatabaseFacts(answer.connection, None)
    rows = []
    for job in found.jobs(answer.connection):
        # what another role's settings and rights are is not known here
        if job.id not in others or job.role != facts["role"]:
            continue
        text = read_text(job, about, functions)
        undone = [f"its transaction {text.undone}, so pg_net never sends its call"] if text.undone else []
        for what in (*undone, *text.misplaced, *text.missing):
            name = job.name if job.name is not None else "(unnamed)"
            reason = "undone" if what in undone else "misplaced" if what in text.misplaced else None
            named = {"job_id": job.id, "job": job.name, "role": job.role, "reason": reason}
            rows.append(Row("warning", f"cron job {name}", f"job {job.id}: {what}", named))
    return rows


CHECK = Check(
    layer="neighbours",
    claim="the calls of other jobs are sent, with the values that their texts name",
    remedies={
        "undone": ByYou("schedule the job again with a text that commits, or without begin, commit and rollback"),
        "misplaced": ByYou("schedule the job again with the key in headers := …, and replace the key: logs contain it"),
    },
    remedy=ByYou("set the value of the setting or secret named above, or schedule the job again with the right value"),
    needs=("head_applied", "pg_cron_installed", "privileges_sufficient"),
    question=Question(_query, _read),
)
