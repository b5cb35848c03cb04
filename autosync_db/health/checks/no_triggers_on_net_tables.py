"""No trigger, rule or constraint of others acts on the tables of pg_net."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Drop the triggers on pg_net's tables, and what else stands in its way."""
    return [
        *drafts.drop_triggers(scene, "net", ("http_request_queue", "_http_response")),
        *drafts.drop_obstacles(scene),
    ]


CHECK = Check(
    layer="net",
    claim="no trigger, rule or constraint of others acts on the tables of pg_net",
    remedy="autosync-db repair no_triggers_on_net_tables",
    remedies={
        "out_of_reach": ByYou("drop trigger {trigger} on {table}", where="as {role}, the owner of the table"),
        **{kind: way for kind, way in drafts.OBSTACLES.items() if kind != "index"},
    },
    needs=("pg_net_installed",),
    repair=_draft,
)
