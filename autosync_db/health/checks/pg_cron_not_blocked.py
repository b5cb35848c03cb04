"""The process that starts the jobs is not blocked."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.checks.tables_not_locked import PREPARED
from autosync_db.health.model import Check, Refusal, Repair, Scene


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """End the sessions that hold what pg_cron waits for."""
    holders = sorted({pid for facts in scene.findings for pid in facts.get("pids") or ()})
    refused: list[Repair | Refusal] = [
        Refusal(
            f"the prepared transaction {gid} has the lock: whether its work is to be kept is yours to say",
            f"run: rollback prepared {name}; or: commit prepared {name}",
        )
        for gid, name in ((gid, sql.Literal(gid).as_string()) for gid in scene.named("gid"))
    ]
    if refused and not holders:
        return refused
    if not holders:
        way = "as a superuser run: alter system reset synchronous_standby_names; select pg_reload_conf()"
        return [Refusal("pg_cron waits for a standby, not for a session", way)]
    sentence = f"end process {', '.join(map(str, holders))}, which holds the lock: what it has not committed is lost"
    # consent was given for these processes; one that took a lock since is not among them
    [still] = drafts.fixed("pg_cron_not_blocked")
    named = sql.SQL(" and h.pid = any({})").format(sql.Literal(holders))
    return [Repair(sentence, [still + named], destructive=True, as_owner=scene.acts_as_owner), *refused]


CHECK = Check(
    layer="cron",
    claim="the process that starts the jobs is not blocked",
    remedy="autosync-db repair pg_cron_not_blocked",
    remedies={
        "prepared": PREPARED,
        "standby": "alter system reset synchronous_standby_names; select pg_reload_conf(); -- as a superuser",
    },
    needs=("privileges_sufficient",),
    repair=_draft,
)
