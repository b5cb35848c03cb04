"""An organization's schedules can only have its own integrations."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Make the policies again: they ask whose an integration is where its table says so."""
    if "unreadable" in scene.reasons:
        table = scene.named("integrations")[0]
        way = f"grant select on {table} to authenticated, or add a foreign key of both ids, then run this again"
        return [Refusal(f"{table} does not say to API users whose an integration is", way)]
    return [drafts.protect_schedules(scene)]


CHECK = Check(
    layer="security",
    claim="an organization's schedules can only have its own integrations",
    remedy="autosync-db repair integrations_tied_to_organizations",
    remedies={
        "unreadable": ByYou(
            "let the policy read which organization an integration belongs to: grant select on {integrations} to"
            " authenticated; or add a foreign key of integration_id and organization_id",
            then="autosync-db repair integrations_tied_to_organizations",
        ),
    },
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
)
