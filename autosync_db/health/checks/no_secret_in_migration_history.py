"""No migration that the Supabase CLI recorded here holds a key."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(scene: Scene) -> list[Repair]:
    """Mask the keys in the texts that the Supabase CLI keeps of its migrations."""
    return [
        Repair(
            "mask the keys in the recorded texts of migrations (rotate them all the same)",
            drafts.fixed("no_secret_in_migration_history"),
            destructive=True,
            as_owner=scene.acts_as_owner,
        )
    ]


CHECK = Check(
    layer="secrets",
    claim="no migration that the Supabase CLI recorded here holds a key",
    remedy="autosync-db repair no_secret_in_migration_history",
    needs=("head_applied", "secrets_present"),
    repair=_draft,
)
