"""The job belongs to the role that maintains it."""

from psycopg import sql

from autosync_db.health import drafts, second_jobs
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Unschedule the job as the role that it belongs to, and schedule it as its maintainer.

    A job of that role that is none of ours, but has the name, gets another one.
    """
    owner = str(scene.owner)
    jobs = scene.rows(
        "select c.jobid, c.username from cron.job as c where c.jobname = %s and c.username <> %s order by c.jobid",
        [scene.job, owner],
    )
    if not jobs:
        return [
            Refusal(
                f"the job belongs to {owner}, which is a superuser, and pg_cron is set to skip jobs of superusers",
                "as a superuser run: alter system set cron.enable_superuser_jobs = on; then restart PostgreSQL",
            )
        ]
    done: list[str] = []
    statements: list[sql.Composable] = []
    for number, role in jobs:
        ended = second_jobs.end(scene, number, role, scene.job)
        if isinstance(ended, Refusal):
            hint = f"{ended.hint} then: autosync-db repair job_scheduled"
            return [Refusal(ended.reason, hint)]
        statements += ended.statements
        done.append(ended.sentence)
    sync = drafts.SYNC.format(sql.Literal(scene.job))
    statements += drafts.acting_as(scene, owner, sync)
    sentence = f"{', '.join(done)}, and schedule it as {owner}"
    return [Repair(sentence, statements, destructive=True, as_owner=False)]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="the job belongs to the role that maintains it, and pg_cron runs jobs of that role",
    remedy="autosync-db repair job_owner_matches",
    remedies={
        "out_of_reach": ByYou(
            "select cron.unschedule({job_id})",
            where="as the role {role} or a superuser",
            then="autosync-db repair job_scheduled",
        ),
        "superuser_jobs_off": (
            "alter system set cron.enable_superuser_jobs = on; -- as a superuser, then restart PostgreSQL"
        ),
    },
    needs=(
        "job_scheduled",
        "head_applied",
    ),
    repair=_draft,
)
