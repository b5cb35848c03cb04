"""pg_net_worker_running: restart the worker."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a worker that is gone, where this version of pg_net can start it."""
    if not scene.value("select to_regprocedure('net.worker_restart()') is not null"):
        way = "restart PostgreSQL (on Supabase: Project Settings > General > Restart project)"
        return [Refusal("this version of pg_net cannot restart its worker", way)]
    return [Repair("restart the worker of pg_net", [statement.text("select net.worker_restart()")])]
