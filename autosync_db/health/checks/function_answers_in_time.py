"""The function answers before the timeout of the call."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="function",
    scope="call",
    claim="the function answers before the timeout of the call",
    remedy=ByYou("raise the job's timeout in autosync.toml, or let it do less in one call", then="autosync-db setup"),
    remedies={
        "report": ByYou(
            "let the function report when it is done (auto_sync_report), or raise the job's reports_within in"
            " autosync.toml",
            then="autosync-db setup",
        ),
        # its own limit is none of the job's
        "gateway": ByYou(
            "let the function do less in one call, or answer 202 at once and report when it is done (reports_within in"
            " autosync.toml)",
            then="autosync-db setup",
        ),
    },
    needs=("head_applied", "project_url_reachable", "privileges_sufficient"),
)
