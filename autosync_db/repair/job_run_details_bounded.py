"""job_run_details_bounded: delete the runs of all jobs that are older than they are kept."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a history that grew; the runs of other jobs are in it too."""
    kept = scene.value("select j.keep_run_details::text from autosync.job as j where j.name = %s", [scene.job])
    return [
        Repair(
            f"delete the runs of every job that ended more than {kept} ago",
            statement.fixed("job_run_details_bounded"),
            destructive=True,
            in_batches=True,
        )
    ]
