"""service_role_can_use_schedules: grant the function's role what it needs."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of lost grants; to bypass row level security is a superuser's to give."""
    found: list[Repair | Refusal] = []
    if "service_role may not select" in scene.findings or "service_role may not update" in scene.findings:
        found.append(statement.protect_schedules(scene))
    ours, _ = statement.functions_named(scene)
    if ours:
        grant = statement.reapply(scene, ours)
        found.append(Repair("let service_role execute the functions that claim and complete schedules", grant))
    if "schema public: " in scene.findings:
        usage = statement.text("grant usage on schema public to service_role")
        found.append(Repair("let service_role use the schema public", [usage], as_owner=scene.acts_as_owner))
    if "does not bypass it" in scene.findings:
        bypass, sentence = "alter role service_role bypassrls", "let service_role bypass row level security"
        found.append(
            Repair(sentence, [statement.text(bypass)], as_owner=False)
            if scene.is_superuser
            else Refusal(f"only a superuser can {sentence}", f"as one run: {bypass}")
        )
    return found
