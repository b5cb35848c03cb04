"""No API user sees or writes more of the schedules than the isolation mode allows."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou

_FUNCTION = (
    "let the function ask who the user is, such as by auth.uid(), or work with its caller's rights:"
    " alter function {signature} security invoker"
)


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Protect the schedules as the isolation mode says, and take the views on them away from the roles of the API."""
    found = drafts.hold_roles(scene)
    if scene.reasons - {"view", "function", *drafts.ROLES}:
        found.append(drafts.protect_schedules(scene))
    views = [
        (facts["view"], role) for facts in scene.findings if "view" in facts for role in (*facts["roles"], "public")
    ]
    if views:
        found.append(drafts.revoke_views(scene, views, "the roles of the API"))
    if functions := [facts["signature"] for facts in scene.findings if facts.get("reason") == "function"]:
        found.append(
            Refusal(f"{', '.join(functions)} may be meant to show schedules", _FUNCTION.format(signature="NAME"))
        )
    return found


CHECK = Check(
    layer="security",
    claim="no API user sees or writes more of the schedules than the isolation mode allows",
    remedy="autosync-db repair schedules_table_protected",
    remedies={"function": ByYou(_FUNCTION, then="autosync-db verify"), **drafts.ROLES},
    needs=("head_applied", "objects_current"),
    causes=("head_applied",),
    repair=_draft,
)
