"""Pg_net's tables do not grow without end."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Write down the outcomes, then delete the answers that pg_net should have removed."""
    if "net._http_response" not in scene.named("table"):
        way = "once the worker has emptied it, as its owner run: vacuum full net.http_request_queue"
        return [Refusal("the queue is large, and what waits in it may not have been sent", way)]
    return [
        Repair(
            "delete the answers that pg_net should have removed a day ago; ours are recorded first",
            [sql.SQL("select autosync.settle()"), *drafts.fixed("pg_net_tables_bounded")],
            destructive=True,
            in_batches=True,
        )
    ]


CHECK = Check(
    layer="retention",
    claim="pg_net's tables do not grow without end",
    remedy="autosync-db repair pg_net_tables_bounded",
    needs=("head_applied", "pg_net_installed", "server_is_primary"),
    causes=("pg_net_installed",),
    repair=_draft,
)
