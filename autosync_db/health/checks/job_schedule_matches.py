"""The job ticks as autosync.job says, and pg_cron reads that schedule as it is written."""

import re

from autosync_db.errors import UsageError
from autosync_db.health import drafts
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene
from autosync_db.jobs import cron

_NAMED = re.compile(r"@(hourly|daily|midnight|weekly|monthly|yearly|annually)")
_QUERY = """
select jsonb_build_array(c.schedule, j.schedule, e.extversion) as fact
from cron.job as c
left join autosync.job as j on j.name = c.jobname
left join pg_catalog.pg_extension as e on e.extname = 'pg_cron'
where c.jobname = current_setting('autosync.job')
order by c.jobid
limit 100
"""


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    name = answer.configuration.settings.job.name
    if not answer.values:
        return [Row("unknown", f"cron job {name}", "does not exist")]
    rows = []
    for schedule, wanted, version in answer.values:
        if wanted is not None and schedule != wanted:
            rows.append(Row("critical", f"cron job {name}", f'ticks at "{schedule}", autosync.job says "{wanted}"'))
        if misread := _misreading(schedule, version):
            rows.append(Row(misread[0], f"cron job {name}", f'its schedule "{schedule}" {misread[1]}'))
    return rows


def _misreading(schedule: str, version: str | None) -> tuple[str, str] | None:
    """Return how bad it is and what pg_cron makes of the schedule; None when it reads it as it is written."""
    text = schedule.strip()
    if _NAMED.fullmatch(text):
        return None
    if text == "@reboot":
        return "critical", "ticks only when pg_cron's scheduler starts"
    fields = text.split()
    if len(fields) > 5:
        return "warning", f'has more than five fields: pg_cron reads "{" ".join(fields[:5])}" and ignores the rest'
    try:
        cron.check(text, version)
    except UsageError as error:
        reason = str(error).removeprefix(f"the schedule {text!r} ")
        # a step beyond its field is the one that still ticks
        return ("warning" if "step" in reason else "critical"), reason
    return None


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Give the job the schedule of autosync.job again."""
    drifted = scene.value(
        "select exists (select from cron.job as c join autosync.job as j on j.name = c.jobname"
        " where c.jobname = %s and c.schedule <> j.schedule)",
        [scene.job],
    )
    if not drifted:
        return [
            Refusal(
                "autosync.job itself holds that schedule",
                "write another one under [job] in autosync.toml, then run: autosync-db setup",
            )
        ]
    return [Repair("give the job the schedule of autosync.job again", drafts.schedule_job(scene))]


CHECK = Check(
    layer="job",
    claim="the job ticks as autosync.job says, and pg_cron reads that schedule as it is written",
    remedy="autosync-db repair job_schedule_matches",
    needs=("job_scheduled", "head_applied"),
    repair=_draft,
    question=Question(_query, _read),
)
