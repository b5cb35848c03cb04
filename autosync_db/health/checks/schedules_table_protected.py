"""No API user sees or writes more of the schedules than the isolation mode allows."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Protect the schedules as the isolation mode says."""
    return [drafts.protect_schedules(scene)]


CHECK = Check(
    layer="security",
    claim="no API user sees or writes more of the schedules than the isolation mode allows",
    remedy="autosync-db repair schedules_table_protected",
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
)
