"""The server's log does not get the values of secrets."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="the server's log does not get the values of secrets",
    remedy=(
        "alter system reset {setting}; select pg_reload_conf();"
        " -- as a superuser; until then write secrets with autosync-db alone"
    ),
)
