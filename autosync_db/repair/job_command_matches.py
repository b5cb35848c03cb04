"""job_command_matches: let the job run autosync.dispatch() again."""

from autosync_db.repair import statement
from autosync_db.repair.model import Repair, Scene


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a command that somebody wrote, which is lost by it."""
    sentence = "overwrite the job's command with a call of autosync.dispatch()"
    return [Repair(sentence, statement.schedule_job(scene), destructive=True)]
