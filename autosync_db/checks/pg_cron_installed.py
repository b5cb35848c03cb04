"""The extension pg_cron is installed in this database."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="cron",
    claim="the extension pg_cron is installed in this database",
    remedy="create extension if not exists pg_cron; -- then run: autosync-db migrate",
)
