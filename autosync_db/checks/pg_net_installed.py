"""The extension pg_net is installed in this database."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="net",
    claim="the extension pg_net is installed in this database",
    remedy="create extension if not exists pg_net; -- then run: autosync-db migrate",
)
