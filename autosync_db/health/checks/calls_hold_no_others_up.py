"""No job's calls keep pg_net from sending other calls."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="net",
    scope="call",
    claim="no job's calls keep pg_net from sending other calls",
    remedy=ByYou(
        "let it answer 202 at once, go on working and report (autosync-db scaffold function --plain NAME writes one),"
        ' and set reports_within = "15m" in autosync.toml',
        then="autosync-db setup",
    ),
    needs=("head_applied", "pg_net_installed", "server_is_primary", "privileges_sufficient"),
    causes=("function_answers_in_time",),
)
