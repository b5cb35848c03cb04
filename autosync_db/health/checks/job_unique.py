"""No second job makes the same calls."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou

_PAUSE = sql.SQL(
    "update autosync.job set paused_at = clock_timestamp(), paused_by = session_user"
    " where name = {} and paused_at is null"
)


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Unschedule the jobs that make the same calls, and pause those that are registered here; ours stays."""
    done: list[str] = []
    statements: list[sql.Composable] = []
    refused: list[Repair | Refusal] = []
    for number, name, role, is_registered in scene.cron_jobs(scene.named("job_id")):
        if is_registered and name != scene.job:
            pause = _PAUSE.format(sql.Literal(name)), drafts.SYNC.format(sql.Literal(name))
            statements += drafts.acting_as(scene, str(scene.owner), *pause)
            done.append(f"pause job {number}")
        elif drafts.may_unschedule(scene, role):
            statements += drafts.unschedule(scene, number, role)
            done.append(f"unschedule job {number} of {role}")
        else:
            refused.append(
                Refusal(
                    f"job {number} belongs to the role {role}, and {scene.me} may not act as it",
                    f"as {role} or a superuser run: select cron.unschedule({number});",
                )
            )
    if not statements:
        return refused
    return [Repair(", ".join(done), statements, destructive=True, as_owner=False), *refused]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="no second job makes the same calls",
    remedy="autosync-db repair job_unique",
    remedies={
        "out_of_reach": ByYou("select cron.unschedule({job_id})", where="as the role {role} or a superuser"),
    },
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    repair=_draft,
)
