"""The server loads the library of pg_net when it starts."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="net",
    claim="the server loads the library of pg_net when it starts",
    remedy=(
        "# add pg_net to shared_preload_libraries and restart PostgreSQL (on Supabase: Project Settings "
        "> General > Restart project)"
    ),
    needs=("pg_net_installed",),
    causes=("pg_net_installed",),
)
