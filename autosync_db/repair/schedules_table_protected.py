"""schedules_table_protected: protect the schedules as the isolation mode says."""

from autosync_db.repair import statement
from autosync_db.repair.model import Repair, Scene


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of the schedules' protection; policies of the project are dropped by consent alone."""
    return [statement.protect_schedules(scene)]
