"""The calls of other jobs are answered well."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="neighbours",
    claim="the calls of other jobs are answered well",
    remedy=ByYou(
        "correct those jobs; with jobs import each call has its job and its outcome", then="autosync-db jobs import"
    ),
    needs=("head_applied", "pg_net_installed", "pg_cron_installed", "privileges_sufficient", "server_is_primary"),
    causes=("pg_net_installed",),
)
