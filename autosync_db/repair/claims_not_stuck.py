"""claims_not_stuck: let schedules go that were claimed over an hour ago, longer than any function lives."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(_scene: Scene) -> list[Repair]:
    """Draft the repair of claims that keep everybody else away."""
    return [
        Repair(
            "take back the claims of over an hour ago, so that the next call takes their schedules",
            statement.fixed("claims_not_stuck"),
            in_batches=True,
        )
    ]
