"""The function answers before the timeout of the call."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="function",
    claim="the function answers before the timeout of the call",
    remedy="raise [job] timeout in autosync.toml, then run: autosync-db setup",
    needs=("head_applied", "project_url_reachable"),
)
