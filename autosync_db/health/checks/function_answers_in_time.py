"""The function answers before the timeout of the call."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function answers before the timeout of the call",
    remedy="AUTOSYNC_JOB__TIMEOUT=60s autosync-db setup",
    needs=("head_applied", "project_url_reachable", "privileges_sufficient"),
)
