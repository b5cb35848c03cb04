"""Nothing depends on the objects of pg_cron and pg_net."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="migrations",
    claim="nothing depends on the objects of pg_cron and pg_net",
    remedy="autosync-db repair nothing_blocks_upgrades",
    needs=("head_applied", "pg_cron_installed", "pg_net_installed"),
    repairable=True,
)
