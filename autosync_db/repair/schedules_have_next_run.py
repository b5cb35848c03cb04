"""schedules_have_next_run: let the trigger compute what is missing."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(_scene: Scene) -> list[Repair]:
    """Draft the repair of enabled schedules that came in past the trigger."""
    sentence = "compute next_run_at for the enabled schedules that have none"
    return [Repair(sentence, statement.fixed("schedules_have_next_run"), in_batches=True)]
