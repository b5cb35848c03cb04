"""The job is switched on, or was paused on purpose."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="the job is switched on, or was paused on purpose",
    remedy="autosync-db repair job_active",
    needs=("job_scheduled", "head_applied", "privileges_sufficient"),
    repairable=True,
    notable=True,
)
