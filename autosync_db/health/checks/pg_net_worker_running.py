"""The background worker that sends the requests of pg_net runs."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Restart the worker."""
    if not scene.value("select to_regprocedure('net.worker_restart()') is not null"):
        way = "restart PostgreSQL (on Supabase: Project Settings > General > Restart project)"
        return [Refusal("this version of pg_net cannot restart its worker", way)]
    return [Repair("restart the worker of pg_net", [drafts.text("select net.worker_restart()")])]


CHECK = Check(
    layer="net",
    claim="the background worker that sends the requests of pg_net runs",
    remedy="autosync-db repair pg_net_worker_running",
    needs=("pg_net_installed", "privileges_sufficient"),
    causes=(
        "pg_net_installed",
        "pg_net_preloaded",
        "pg_net_settings_valid",
        "pg_net_database_matches",
        "no_triggers_on_net_tables",
        "server_is_primary",
        "server_writable",
    ),
    repair=_draft,
)
