"""invocations_bounded: delete the ticks and runs that are older than they are kept."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(_scene: Scene) -> list[Repair]:
    """Draft the repair of a ledger that was not pruned."""
    return [
        Repair(
            "delete the ticks of the job that are older than they are kept",
            statement.fixed("invocations_bounded"),
            destructive=True,
            in_batches=True,
        )
    ]
