"""no_triggers_on_net_tables: drop the triggers on pg_net's tables."""

from autosync_db.health.drafts import Refusal, Repair, Scene
from autosync_db.repair import statement


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of triggers inside pg_net's worker, as far as this role may act as the tables' owner."""
    return statement.drop_triggers(scene, "net", ("http_request_queue", "_http_response"))
