"""The jobs' schedules mean the same in pg_cron's time zone as in UTC."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="the jobs' schedules mean the same in pg_cron's time zone as in UTC",
    remedy="alter system set cron.timezone = 'UTC'; -- as a superuser, then restart PostgreSQL",
    needs=("pg_cron_installed", "privileges_sufficient"),
)
