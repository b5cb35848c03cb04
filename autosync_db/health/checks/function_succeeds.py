"""The function answers without an error."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function answers without an error",
    remedy="# read the function's log (on Supabase: Edge Functions > Logs), fix it, then: autosync-db jobs trigger",
    remedies={"schema_cache": "notify pgrst, 'reload schema'; -- then: autosync-db jobs trigger"},
    needs=("head_applied", "function_accepts_key", "privileges_sufficient"),
    causes=("service_role_can_use_schedules",),
)
