"""api_roles_cannot_reach_private_schema: take back what opens the schema autosync."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a schema that somebody was let into, or that the Data API serves."""
    found: list[Repair | Refusal] = []
    if " may " in scene.findings:
        close = statement.reapply(scene, ["sql/access/autosync.sql"])
        found.append(Repair("take back what the roles of the API may do in the schema autosync", close))
    if hide := statement.withdraw(scene, ["autosync"]):
        found.append(
            Repair(
                "take the schema autosync out of the setting pgrst.db_schemas",
                hide,
                destructive=True,
                as_owner=scene.acts_as_owner,
            )
        )
    return found
