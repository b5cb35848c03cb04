"""The server loads the library of pg_net when it starts."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="net",
    claim="the server loads the library of pg_net when it starts",
    remedy=ByYou(
        "add pg_net to shared_preload_libraries and restart PostgreSQL (on Supabase: Project Settings > General >"
        " Restart project)"
    ),
    needs=("pg_net_installed",),
    causes=("pg_net_installed",),
)
