"""No role of the Data API can use more of the schema autosync than claiming needs."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Take back what opens the schema autosync."""
    found: list[Repair | Refusal] = []
    if any("privileges" in facts for facts in scene.findings):
        close = drafts.reapply(scene, ["sql/access/autosync.sql"])
        found.append(Repair("revoke what the roles of the API may do in the schema autosync", close))
    if hide := drafts.withdraw(scene, ["autosync"]):
        found.append(
            Repair(
                "remove the schema autosync from the setting pgrst.db_schemas",
                hide,
                destructive=True,
                as_owner=scene.acts_as_owner,
            )
        )
    return found


CHECK = Check(
    layer="security",
    claim="no role of the Data API can use more of the schema autosync than claiming needs",
    remedy="autosync-db repair api_roles_cannot_reach_private_schema",
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
)
