"""PostgreSQL started with the library of pg_cron."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="cron",
    claim="PostgreSQL started with the library of pg_cron",
    remedy=ByYou("add pg_cron to shared_preload_libraries in postgresql.conf and restart PostgreSQL"),
    needs=("privileges_sufficient",),
)
