"""pg_net_not_exposed: take the schemas net and cron off the Data API."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of exposed schemas; who may log in is not ours to change."""
    found: list[Repair | Refusal] = []
    if hide := statement.withdraw(scene, ["net", "cron"]):
        sentence = "take the schemas net and cron out of the setting pgrst.db_schemas"
        found.append(Repair(sentence, hide, destructive=True, as_owner=scene.acts_as_owner))
    elif "through the Data API" in scene.findings:
        way = "change it where the Data API is configured (on Supabase: Project Settings > Data API)"
        found.append(Refusal("the setting is not one of a role or of this database", way))
    objects = [item.object for item in scene.result.verdict.evidence]
    roles = [name.removeprefix("role ") for name in objects if name.startswith("role ")]
    if roles:
        reason = f"{', '.join(roles)} may log in and read the queue, and may be needed"
        found.append(Refusal(reason, f"where it is not, run: alter role {roles[0]} nologin"))
    return found
