"""Jobs run on this server: it is not a read replica."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="server",
    claim="this server is a primary, where jobs run",
    remedy="autosync-db verify --database-url URL  # of the primary",
)
