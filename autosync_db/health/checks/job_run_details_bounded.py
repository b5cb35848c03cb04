"""Pg_cron's history does not grow without end."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Delete the runs of all jobs that are older than they are kept."""
    kept = scene.value("select max(j.keep_run_details)::text from autosync.job as j")
    return [
        Repair(
            f"delete the runs of every job that ended longer ago than they are kept, which is {kept} at most",
            drafts.fixed("job_run_details_bounded"),
            destructive=True,
            in_batches=True,
        )
    ]


CHECK = Check(
    layer="retention",
    claim="pg_cron's history does not grow without end",
    remedy="autosync-db repair job_run_details_bounded",
    needs=(
        "privileges_sufficient",
        "head_applied",
        "pg_cron_installed",
        "pg_cron_not_blocked",
    ),
    causes=("housekeeping_runs",),
    repair=_draft,
)
