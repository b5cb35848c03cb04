"""pg_net_tables_bounded: write down the outcomes, then delete the answers that pg_net should have removed."""

from psycopg import sql

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of answers that expired; the queue belongs to the worker."""
    if "net._http_response" not in scene.findings:
        way = "once the worker has emptied it, as its owner run: vacuum full net.http_request_queue"
        return [Refusal("the queue is large, and what waits in it may not have been sent", way)]
    return [
        Repair(
            "delete the answers that pg_net should have removed a day ago; ours are written down first",
            [sql.SQL("select autosync.settle()"), *statement.fixed("pg_net_tables_bounded")],
            destructive=True,
            in_batches=True,
        )
    ]
