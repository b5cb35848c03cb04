"""The database server can be reached and lets this role in."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

# whoever can run the query has reached the server; runner.unreachable() speaks for the others
CHECK = Check(
    layer="server",
    claim="the database server can be reached and lets this role in",
    remedy=ByYou(
        "start the server, or correct its address (on Supabase: restore a paused project)", then="autosync-db verify"
    ),
)
