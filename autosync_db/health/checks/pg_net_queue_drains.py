"""No call waits in pg_net's queue for longer than its timeout and a minute."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene
from autosync_db.remedies import ByYou


def _draft(scene: Scene) -> list[Repair]:
    """Wake the worker, which may have gone back to sleep while a table was locked."""
    if scene.value("select to_regprocedure('net.wake()') is not null"):
        return [Repair("wake the worker of pg_net", [drafts.text("select net.wake()")])]
    return [Repair("restart the worker of pg_net", [drafts.text("select net.worker_restart()")])]


CHECK = Check(
    layer="net",
    scope="call",
    claim="no call waits in pg_net's queue for longer than its timeout and a minute",
    remedy="autosync-db repair pg_net_queue_drains",
    remedies={
        "busy": ByYou(
            "wait for the batch to end; a slow call holds up the others: let it answer 202 and report",
            then="autosync-db verify",
        ),
    },
    needs=(
        "head_applied",
        "pg_net_installed",
        "server_is_primary",
        "privileges_sufficient",
        "secrets_readable_by_job",
    ),
    causes=(
        "pg_net_installed",
        "pg_net_preloaded",
        "pg_net_settings_valid",
        "pg_net_worker_running",
        "pg_net_database_matches",
        "pg_net_version_matches_library",
        "no_triggers_on_net_tables",
    ),
    repair=_draft,
)
