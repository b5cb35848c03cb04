"""The function is deployed under its name."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function is deployed under its name",
    remedy="supabase functions deploy auto-sync-cron",
    needs=("head_applied", "function_reached", "privileges_sufficient"),
    causes=("project_url_valid",),
)
