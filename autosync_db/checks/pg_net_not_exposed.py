"""Nobody but the platform can read the keys of queued requests."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="security",
    claim="nobody but the platform can read the keys of queued requests",
    remedy=(
        "alter role authenticator reset pgrst.db_schemas; -- or set it without net and cron; and: alter "
        "role <name> nologin"
    ),
    needs=("pg_net_installed",),
    causes=("pg_net_installed",),
)
