"""No migration that the Supabase CLI recorded here holds a key."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="no migration that the Supabase CLI recorded here holds a key",
    remedy="autosync-db repair no_secret_in_migration_history",
    needs=("head_applied", "secrets_present"),
    repairable=True,
)
