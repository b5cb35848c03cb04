"""Only the platform can read the keys of queued requests."""

from autosync_db import sql_names
from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Take the schemas net and cron off the Data API."""
    found: list[Repair | Refusal] = []
    if hide := drafts.withdraw(scene, ["net", "cron"]):
        sentence = "take the schemas net and cron out of the setting pgrst.db_schemas"
        found.append(Repair(sentence, hide, destructive=True, as_owner=scene.acts_as_owner))
    elif "data_api" in scene.reasons:
        way = "change it where the Data API is configured (on Supabase: Project Settings > Data API)"
        found.append(Refusal("the setting is not one of a role or of this database", way))
    roles = [facts["role"] for facts in scene.findings if facts["reason"] == "privilege"]
    if roles:
        reason = f"{', '.join(roles)} may log in and read the queue, and may be needed"
        found.append(Refusal(reason, f"where it is not, run: alter role {sql_names.identifier(roles[0])} nologin"))
    return found


CHECK = Check(
    layer="security",
    claim="only the platform can read the keys of queued requests",
    remedy="autosync-db repair pg_net_not_exposed",
    remedies={
        "privilege": ByYou(
            "if it needs no login: alter role {role} nologin; else let the calls carry a secret with limited access:"
            ' auth = "cron_secret" in autosync.toml',
            then="autosync-db setup",
        ),
    },
    needs=("head_applied", "pg_net_installed", "privileges_sufficient"),
    causes=("pg_net_installed",),
    repair=_draft,
)
