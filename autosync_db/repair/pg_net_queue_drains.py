"""pg_net_queue_drains: wake the worker, which may have gone back to sleep while a table was locked."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair]:
    """Draft the repair of calls that wait though the worker is there."""
    if scene.value("select to_regprocedure('net.wake()') is not null"):
        return [Repair("wake the worker of pg_net", [statement.text("select net.wake()")])]
    return [Repair("restart the worker of pg_net", [statement.text("select net.worker_restart()")])]
