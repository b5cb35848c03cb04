"""The server lets pg_cron and pg_net write."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="server",
    claim="the server lets its processes write",
    remedy="alter system reset default_transaction_read_only; select pg_reload_conf(); -- as superuser",
)
