"""Pg_net's tables do not grow without end."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="retention",
    claim="pg_net's tables do not grow without end",
    remedy="autosync-db repair pg_net_tables_bounded",
    needs=("head_applied", "pg_net_installed", "server_is_primary"),
    causes=("pg_net_installed",),
    repairable=True,
)
