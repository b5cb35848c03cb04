"""no_secret_in_migration_history: mask the keys in the texts that the Supabase CLI keeps of its migrations."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of recorded migrations that hold a key; which ones ran stays as it is."""
    return [
        Repair(
            "mask the keys in the recorded texts of migrations (rotate them all the same)",
            statement.fixed("no_secret_in_migration_history"),
            destructive=True,
            as_owner=scene.acts_as_owner,
        )
    ]
