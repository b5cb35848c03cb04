"""job_owner_matches: unschedule the job as the role that it belongs to, and schedule it as its maintainer."""

from psycopg import sql

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a job that another role scheduled, as far as this role may act as that one."""
    owner = str(scene.owner)
    jobs = scene.rows(
        "select c.jobid, c.username from cron.job as c where c.jobname = %s and c.username <> %s order by c.jobid",
        [scene.job, owner],
    )
    if not jobs:
        return [
            Refusal(
                f"the job belongs to {owner}, which is a superuser, and pg_cron is told to skip jobs of those",
                "as a superuser run: alter system set cron.enable_superuser_jobs = on; then restart PostgreSQL",
            )
        ]
    statements: list[sql.Composable] = []
    for number, role in jobs:
        if not statement.may_unschedule(scene, role):
            return [
                Refusal(
                    f"job {number} belongs to the role {role}, and {scene.me} may not act as it",
                    f"as {role} or a superuser run: select cron.unschedule({number});"
                    " then: autosync-db repair job_scheduled",
                )
            ]
        statements += statement.unschedule(scene, number, role)
    sync = statement.SYNC.format(sql.Literal(scene.job))
    statements += statement.acting_as(scene, owner, sync)
    roles = ", ".join(role for _, role in jobs)
    sentence = f"unschedule the job of {roles}, and schedule it as {owner}"
    return [Repair(sentence, statements, destructive=True, as_owner=False)]
