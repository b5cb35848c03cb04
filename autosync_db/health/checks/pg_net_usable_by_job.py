"""The role that makes the job's calls may use pg_net."""

from psycopg import sql

from autosync_db import resources
from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene

_GRANTS = (
    "grant usage on schema net to {}",
    "grant execute on all functions in schema net to {}",
    "grant select, insert on table net.http_request_queue to {}",
    "grant select on table net._http_response to {}",
    "grant usage on sequence net.http_request_queue_id_seq to {}",
)


def _draft(scene: Scene) -> list[Repair]:
    """Grant what the job's calls need, or create pg_net again where that is not enough."""
    caller, keeper = scene.rows(
        "select pg_get_userbyid(p.proowner), pg_get_userbyid(n.nspowner)"
        " from pg_catalog.pg_proc as p, pg_catalog.pg_namespace as n"
        " where p.oid = 'autosync.dispatch(text, boolean)'::regprocedure and n.nspname = 'net'"
    )[0]
    if scene.may_act_as(keeper) and "replaced" not in scene.reasons:
        grants = [sql.SQL(text).format(sql.Identifier(caller)) for text in _GRANTS]
        sentence = f"grant {caller} what its calls need of pg_net"
        return [Repair(sentence, drafts.acting_as(scene, keeper, *grants), as_owner=False)]
    return [
        Repair(
            "drop the extension pg_net, with the requests in its queue, and create it again with its own grants",
            [
                drafts.WITH_A_SCHEMA,
                drafts.text("drop extension pg_net"),
                drafts.text(resources.read("sql/extensions/pg_net.sql")),
            ],
            destructive=True,
        )
    ]


CHECK = Check(
    layer="net",
    claim="the role that makes the job's calls may use pg_net",
    remedy="autosync-db repair pg_net_usable_by_job",
    needs=(
        "head_applied",
        "pg_net_installed",
        "objects_current",
    ),
    causes=(
        "head_applied",
        "pg_net_installed",
    ),
    repair=_draft,
)
