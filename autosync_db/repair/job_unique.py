"""job_unique: unschedule the jobs that make the same calls, and pause those that are registered here; ours stays."""

from psycopg import sql

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement

_PAUSE = sql.SQL(
    "update autosync.job set paused_at = clock_timestamp(), paused_by = session_user"
    " where name = {} and paused_at is null"
)


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of second jobs, as far as this role may act as theirs."""
    done: list[str] = []
    statements: list[sql.Composable] = []
    refused: list[Repair | Refusal] = []
    for number, name, role, is_registered in scene.named_jobs():
        if is_registered and name != scene.job:
            pause = _PAUSE.format(sql.Literal(name)), statement.SYNC.format(sql.Literal(name))
            statements += statement.acting_as(scene, str(scene.owner), *pause)
            done.append(f"pause job {number}")
        elif statement.may_unschedule(scene, role):
            statements += statement.unschedule(scene, number, role)
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
