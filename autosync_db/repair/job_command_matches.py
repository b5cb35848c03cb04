"""job_command_matches: let the job run autosync.dispatch() again."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a command that somebody wrote, which is lost by it."""
    sentence = "overwrite the job's command with a call of autosync.dispatch()"
    return [Repair(sentence, statement.schedule_job(scene), destructive=True)]
