"""job_schedule_matches: give the job the schedule of autosync.job again."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a schedule that was changed in pg_cron alone."""
    drifted = scene.value(
        "select exists (select from cron.job as c join autosync.job as j on j.name = c.jobname"
        " where c.jobname = %s and c.schedule <> j.schedule)",
        [scene.job],
    )
    if not drifted:
        return [
            Refusal(
                "autosync.job itself holds that schedule",
                "write another one under [job] in autosync.toml, then run: autosync-db setup",
            )
        ]
    return [Repair("give the job the schedule of autosync.job again", statement.schedule_job(scene))]
