"""The server did not crash within the last day."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="server",
    claim="the server did not crash within the last day",
    remedy=ByYou("look for the cause in the server's log (on Supabase: Logs > Postgres); the warning ends after a day"),
    needs=("privileges_sufficient",),
)
