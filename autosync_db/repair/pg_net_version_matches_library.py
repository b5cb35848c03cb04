"""pg_net_version_matches_library: bring the extension's SQL to the version of the library."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of SQL that is older than the library; a library is loaded by a restart."""
    if "but its library only" in scene.findings:
        way = "restart PostgreSQL (on Supabase: Project Settings > General > Restart project)"
        return [Refusal("the library is older than the extension", way)]
    # no version: hosted platforms choose it
    update = [statement.WITH_A_SCHEMA, statement.text("alter extension pg_net update")]
    return [Repair("update the extension pg_net to the version of its library", update, as_owner=scene.acts_as_owner)]
