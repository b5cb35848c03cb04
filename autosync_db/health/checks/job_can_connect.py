"""Pg_cron can connect as the job's role to the job's database."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Schedule the job again where it goes to another database or server than this one."""
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
        return [Refusal(scene.verdict.summary, "read the page: autosync-db explain job_can_connect")]
    unschedule = [sql.SQL("select cron.unschedule({}::bigint)").format(sql.Literal(number)) for (number,) in numbers]
    statements = [*unschedule, *drafts.schedule_job(scene)]
    return [Repair("schedule the job again, for this server and database", statements)]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="pg_cron can connect as the job's role to the job's database",
    remedy="autosync-db repair job_can_connect",
    remedies={
        "forbidden": ByYou(
            "allow what is named above: alter role {role} login connection limit -1;"
            " grant connect on database {database} to {role}; alter database {database} connection limit -1",
            where="as a superuser or the owner of the database",
            then="autosync-db verify --wait 10m",
        ),
        "refused": ByYou(
            "look at pg_hba.conf and at the server's log; the next run of pg_cron clears it",
            then="autosync-db verify --wait 10m",
        ),
    },
    needs=(
        "job_scheduled",
        "pg_cron_not_blocked",
    ),
    causes=("cron_slots_free",),
    repair=_draft,
)
