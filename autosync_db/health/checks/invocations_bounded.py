"""The ledger keeps ticks no longer than it should."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(_scene: Scene) -> list[Repair]:
    """Delete the ticks and runs that are older than they are kept."""
    return [
        Repair(
            "delete the ticks and calls of every job that are past their retention",
            drafts.fixed("invocations_bounded"),
            destructive=True,
            in_batches=True,
        )
    ]


CHECK = Check(
    layer="retention",
    scope="call",
    claim="the ledger keeps ticks no longer than it should",
    remedy="autosync-db repair invocations_bounded",
    needs=("head_applied",),
    causes=("housekeeping_runs",),
    repair=_draft,
)
