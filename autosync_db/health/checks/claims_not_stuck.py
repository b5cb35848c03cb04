"""No claim keeps a due schedule from being run for over an hour."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(_scene: Scene) -> list[Repair]:
    """Let schedules go that were claimed over an hour ago, longer than any function lives, or in the future."""
    return [
        Repair(
            "release claims that are over an hour old or in the future, so that the next call takes their schedules",
            drafts.fixed("claims_not_stuck"),
            in_batches=True,
        )
    ]


CHECK = Check(
    layer="schedules",
    claim="no claim keeps a due schedule from being run for over an hour",
    remedy="autosync-db repair claims_not_stuck",
    needs=("head_applied", "objects_current", "privileges_sufficient"),
    repair=_draft,
)
