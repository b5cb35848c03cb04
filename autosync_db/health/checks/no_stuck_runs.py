"""No run of the job has been going for five minutes."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Cancel what the run is doing; its transaction is rolled back, and the next tick does its work."""
    sentence = "cancel the run of the job that has been going for over five minutes"
    return [Repair(sentence, drafts.fixed("no_stuck_runs"), as_owner=scene.acts_as_owner)]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="no run of the job has been going for five minutes",
    remedy="autosync-db repair no_stuck_runs",
    needs=(
        "job_scheduled",
        "pg_cron_not_blocked",
    ),
    repair=_draft,
)
