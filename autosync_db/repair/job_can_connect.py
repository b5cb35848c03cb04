"""job_can_connect: schedule the job anew where it goes to another database or server than this one."""

from psycopg import sql

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a job's address; what keeps its role out is not ours to change."""
    numbers = scene.rows(
        """
        select c.jobid
        from cron.job as c
        where c.jobname = %s
            and (
                c.database <> current_database()
                or c.nodeport <> current_setting('port')::integer
                or c.nodename <> coalesce(current_setting('cron.host', true), c.nodename)
            )
        """,
        [scene.job],
    )
    if not numbers:
        return [Refusal(scene.result.verdict.summary, "read the page: autosync-db explain job_can_connect")]
    unschedule = [sql.SQL("select cron.unschedule({}::bigint)").format(sql.Literal(number)) for (number,) in numbers]
    statements = [*unschedule, *statement.schedule_job(scene)]
    return [Repair("schedule the job anew, for this server and database", statements)]
