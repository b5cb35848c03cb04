"""The stored project URL is an address that pg_net can call."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="the stored project URL is an address that pg_net can call",
    remedy="autosync-db setup --project-url URL",
    needs=("head_applied", "secrets_present"),
    causes=("secrets_clean",),
)
