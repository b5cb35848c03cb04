"""Service_role can read, claim and complete schedules."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Grant the function's role what it needs."""
    found: list[Repair | Refusal] = []
    if any("privileges" in facts for facts in scene.findings):
        found.append(drafts.protect_schedules(scene))
    ours, _ = drafts.functions_named(scene)
    if ours:
        grant = drafts.reapply(scene, ours)
        found.append(Repair("let service_role execute the functions that claim and complete schedules", grant))
    if scene.named("schema"):
        usage = drafts.text("grant usage on schema public to service_role")
        found.append(Repair("let service_role use the schema public", [usage], as_owner=scene.acts_as_owner))
    if "row_security" in scene.reasons:
        bypass, sentence = "alter role service_role bypassrls", "let service_role bypass row level security"
        found.append(
            Repair(sentence, [drafts.text(bypass)], as_owner=False)
            if scene.is_superuser
            else Refusal(f"only a superuser can {sentence}", f"as one run: {bypass}")
        )
    return found


CHECK = Check(
    layer="schedules",
    claim="service_role can read, claim and complete schedules",
    remedy="autosync-db repair service_role_can_use_schedules",
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
)
