"""The job runs what autosync.job says and nothing else."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Let the job run again what autosync.job says."""
    sentence = "overwrite the job's command with that of autosync.job"
    return [Repair(sentence, drafts.schedule_job(scene), destructive=True)]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="the job runs what autosync.job says and nothing else",
    remedy="autosync-db repair job_command_matches",
    needs=("job_scheduled", "head_applied", "privileges_sufficient"),
    repair=_draft,
)
