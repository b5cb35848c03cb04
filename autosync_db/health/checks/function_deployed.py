"""The function is deployed under its name."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function is deployed under its name",
    remedy=ByYou("supabase functions deploy {function}", then="autosync-db jobs trigger {job}"),
    needs=("head_applied", "function_reached", "privileges_sufficient"),
    causes=("project_url_valid",),
)
