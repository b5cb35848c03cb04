"""The extension pg_net is installed in this database."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Create the extension."""
    if "in_the_way" in scene.reasons:
        owner = scene.named("role")[0]
        return [Refusal(f"the schema net is there, and belongs to {owner}", "move its objects elsewhere, and drop it")]
    create = drafts.reapply(scene, ["sql/extensions/pg_net.sql"])
    return [Repair("create the extension pg_net", [drafts.WITH_A_SCHEMA, *create])]


CHECK = Check(
    layer="net",
    claim="the extension pg_net is installed in this database",
    remedy="autosync-db repair pg_net_installed",
    remedies={
        "in_the_way": ByYou(
            "the schema net belongs to {role}: move its objects elsewhere, and drop it",
            then="autosync-db repair pg_net_installed",
        ),
    },
    causes=("head_applied",),
    repair=_draft,
)
