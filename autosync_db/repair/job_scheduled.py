"""job_scheduled: schedule the job, and register it first where autosync.job does not know it."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a job that pg_cron does not know."""
    return [Repair(f"schedule the job {scene.job}", statement.schedule_job(scene))]
