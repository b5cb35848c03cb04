"""No trigger of anybody else's runs inside pg_cron."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="no foreign trigger runs inside pg_cron",
    remedy="autosync-db repair no_triggers_on_cron_tables",
    repairable=True,
)
