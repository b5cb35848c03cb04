"""No job's calls keep pg_net from sending those of others."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    scope="call",
    claim="no job's calls keep pg_net from sending those of others",
    remedy=(
        "# answer 202 at once, work on and report (see: autosync-db scaffold function --plain NAME),"
        ' then set reports_within = "15m" in autosync.toml'
    ),
    needs=("head_applied", "pg_net_installed", "server_is_primary", "privileges_sufficient"),
    causes=("function_answers_in_time",),
)
