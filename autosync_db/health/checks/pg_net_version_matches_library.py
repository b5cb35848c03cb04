"""The extension pg_net and its library agree on how the worker is woken."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Bring the extension's SQL to the version of the library."""
    if "library" in scene.named("older"):
        way = "restart PostgreSQL (on Supabase: Project Settings > General > Restart project)"
        return [Refusal("the library is older than the extension", way)]
    # no version: hosted platforms choose it
    update = [drafts.WITH_A_SCHEMA, drafts.text("alter extension pg_net update")]
    return [Repair("update the extension pg_net to the version of its library", update, as_owner=scene.acts_as_owner)]


CHECK = Check(
    layer="net",
    claim="the extension pg_net and its library agree on how the worker is woken",
    remedy="autosync-db repair pg_net_version_matches_library",
    needs=(
        "pg_net_installed",
        "pg_net_worker_running",
    ),
    repair=_draft,
)
