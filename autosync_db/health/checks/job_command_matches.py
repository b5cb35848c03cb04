"""The job runs autosync.dispatch() and nothing else."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Let the job run autosync.dispatch() again."""
    sentence = "overwrite the job's command with a call of autosync.dispatch()"
    return [Repair(sentence, drafts.schedule_job(scene), destructive=True)]


CHECK = Check(
    layer="job",
    claim="the job runs autosync.dispatch() and nothing else",
    remedy="autosync-db repair job_command_matches",
    needs=("job_scheduled", "head_applied", "privileges_sufficient"),
    repair=_draft,
)
