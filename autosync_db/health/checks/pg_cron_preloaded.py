"""PostgreSQL started with the library of pg_cron."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="cron",
    claim="PostgreSQL started with the library of pg_cron",
    remedy="# add pg_cron to shared_preload_libraries in postgresql.conf, then restart PostgreSQL",
    needs=("privileges_sufficient",),
)
