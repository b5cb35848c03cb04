"""What other jobs call answers well."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="neighbours",
    claim="what other jobs call answers well",
    remedy="autosync-db jobs import  # puts them into autosync.toml, so that each call has its job and its outcome",
    needs=("head_applied", "pg_net_installed", "pg_cron_installed", "privileges_sufficient", "server_is_primary"),
    causes=("pg_net_installed",),
)
