"""The server's settings keep the values of secrets out of its log."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="the server's settings keep the values of secrets out of its log",
    remedy=(
        "alter system reset {setting}; select pg_reload_conf();"
        " -- as a superuser; until then write secrets only with autosync-db"
    ),
)
