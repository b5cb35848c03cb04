"""The job ticks as autosync.job says, and pg_cron reads that schedule as it is written."""

from autosync_db import cron
from autosync_db.health import drafts
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene
from autosync_db.plain import clean

_QUERY = """
select jsonb_build_array(c.schedule, j.schedule, e.extversion) as fact
from cron.job as c
left join autosync.job as j on j.name = c.jobname
left join pg_catalog.pg_extension as e on e.extname = 'pg_cron'
where c.jobname = checked.name
order by c.jobid
limit 100
"""


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    name = answer.job
    if not answer.values:
        return [Row("unknown", f"cron job {name}", "does not exist", {"reason": "missing", "job": name})]
    rows = []
    for schedule, wanted, version in answer.values:
        facts = {"job": name, "cron_schedule": schedule}
        # other letters and blanks are the same times
        if wanted is not None and schedule != wanted and not cron.same(schedule, wanted):
            detail = f'ticks at "{clean(schedule)}", autosync.job says "{wanted}"'
            rows.append(Row("critical", f"cron job {name}", detail, {**facts, "reason": "drift", "wanted": wanted}))
        if fault := cron.misreading(schedule, version):
            status = "warning" if fault.still_ticks else "critical"
            detail = f'its schedule "{clean(schedule)}" {fault.reason}'
            rows.append(Row(status, f"cron job {name}", detail, {**facts, "reason": fault.kind}))
    return rows


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Give the job the schedule of autosync.job again."""
    if "drift" not in scene.reasons:
        return [
            Refusal(
                "autosync.job itself holds that schedule",
                "write another one into its table of autosync.toml, then run: autosync-db setup",
            )
        ]
    return [Repair("set the job's schedule to that of autosync.job again", drafts.schedule_job(scene))]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="the job ticks as autosync.job says, and pg_cron reads that schedule as it is written",
    remedy="autosync-db repair job_schedule_matches",
    needs=("job_scheduled", "head_applied"),
    repair=_draft,
    question=Question(_query, _read),
)
