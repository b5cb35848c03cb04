"""job_active: switch the job on again."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a job that is off without a recorded pause."""
    return [Repair("switch the job on again", statement.schedule_job(scene))]
