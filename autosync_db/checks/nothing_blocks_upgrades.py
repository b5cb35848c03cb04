"""Nothing depends on the objects of pg_cron and pg_net."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="migrations",
    claim="nothing depends on the objects of pg_cron and pg_net",
    remedy="drop view <name>; -- for the object named above; a function with a body in quotes can take its place",
    needs=("head_applied", "pg_cron_installed", "pg_net_installed"),
)
