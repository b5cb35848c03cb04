"""no_stuck_runs: cancel what the run is doing; its transaction is rolled back, and the next tick does its work."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a run of the job that has been going for five minutes."""
    sentence = "cancel the run of the job that has been going for over five minutes"
    return [Repair(sentence, statement.fixed("no_stuck_runs"), as_owner=scene.acts_as_owner)]
