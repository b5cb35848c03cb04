"""The function answers before the timeout of the call."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function answers before the timeout of the call",
    remedy=ByYou("raise the job's timeout in autosync.toml, or let it do less in one call", then="autosync-db setup"),
    needs=("head_applied", "project_url_reachable", "privileges_sufficient"),
)
