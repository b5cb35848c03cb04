"""No trigger runs on the tables of pg_net."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="net",
    claim="no trigger runs on the tables of pg_net",
    remedy=("drop trigger <trigger> on net._http_response; -- the trigger and table named above, as the table's owner"),
    needs=("pg_net_installed",),
)
