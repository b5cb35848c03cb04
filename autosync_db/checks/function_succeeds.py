"""The function answers without an error."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="function",
    claim="the function answers without an error",
    remedy="read the function log; on Supabase: Edge Functions > Logs",
    needs=("head_applied", "function_accepts_key"),
)
