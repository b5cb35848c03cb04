"""Pg_net's tables do not grow without end."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="retention",
    claim="pg_net's tables do not grow without end",
    remedy="select autosync.settle(); delete from net._http_response where created < now() - interval '1 day'",
    needs=("head_applied", "pg_net_installed", "server_is_primary"),
    causes=("pg_net_installed",),
    repairable=True,
)
