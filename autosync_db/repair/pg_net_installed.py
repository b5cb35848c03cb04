"""pg_net_installed: create the extension."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of a missing pg_net."""
    create = statement.reapply(scene, ["sql/extensions/pg_net.sql"])
    return [Repair("create the extension pg_net", [statement.WITH_A_SCHEMA, *create])]
