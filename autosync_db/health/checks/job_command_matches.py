"""The job runs autosync.dispatch() and nothing else."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="job",
    claim="the job runs autosync.dispatch() and nothing else",
    remedy="autosync-db repair job_command_matches",
    needs=("job_scheduled", "head_applied", "privileges_sufficient"),
    repairable=True,
)
