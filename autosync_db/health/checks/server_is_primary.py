"""Jobs run on this server: it is not a read replica."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="server",
    claim="this server is a primary, where jobs run",
    remedy=ByYou("connect to the primary", then="autosync-db verify --database-url URL"),
)
