"""schedules_table_protected: protect the schedules as the isolation mode says."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of the schedules' protection; policies of the project are dropped by consent alone."""
    return [statement.protect_schedules(scene)]
