"""The trigger that computes next_run_at is active."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Refusal, Repair, Scene
from autosync_db.remedies import ByYou

_TRIGGER = "sql/triggers/public.auto_sync_schedules.auto_sync_schedules_next_run_at.sql"
_FUNCTION = "sql/functions/autosync.set_next_run_at.sql"
_ENABLE = "alter table public.auto_sync_schedules enable trigger auto_sync_schedules_next_run_at"
_FOREIGN = (
    "let its function return new and leave alone what claims and results write, or switch it off:"
    " alter table public.auto_sync_schedules disable trigger NAME"
)
_NAME = "auto_sync_schedules_next_run_at"


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Create the trigger as its file says, switched on, and drop the one it replaced; end what overrules it."""
    found: list[Repair | Refusal] = []
    if _NAME in scene.named("trigger"):
        is_there = scene.value("select to_regprocedure('autosync.set_next_run_at()') is not null")
        create = drafts.reapply(scene, [_TRIGGER] if is_there else [_FUNCTION, _TRIGGER])
        sentence = "create the trigger that computes next_run_at, and switch it on"
        found.append(Repair(sentence, [*create, drafts.text(_ENABLE)]))
    earlier = scene.rows(
        "select t.tgname from pg_catalog.pg_trigger as t join pg_catalog.pg_proc as p on p.oid = t.tgfoid"
        " where t.tgrelid = 'public.auto_sync_schedules'::regclass and p.proname = 'update_auto_sync_next_run'"
        " and t.tgenabled <> 'D' order by 1"
    )
    if earlier:
        drop = sql.SQL("drop trigger {} on public.auto_sync_schedules")
        names = ", ".join(name for (name,) in earlier)
        drops = [drop.format(sql.Identifier(name)) for (name,) in earlier]
        found.append(Repair(f"drop the trigger {names}, which ours replaced", drops, destructive=True))
    for rule in scene.named("rule"):
        without = sql.SQL("drop rule {} on public.auto_sync_schedules").format(sql.Identifier(rule))
        found.append(Repair(f"drop the rule {rule}", [without], destructive=True))
    found += drafts.reset_settings(scene)
    if "server" in scene.reasons:
        statement = "alter system reset session_replication_role; select pg_reload_conf();"
        found.append(Refusal("the server's own settings say replica", f"as a superuser run: {statement}"))
    foreign = [facts["trigger"] for facts in scene.findings if facts.get("reason") == "foreign"]
    if foreign:
        found.append(Refusal(f"the trigger {', '.join(foreign)} is the project's", _FOREIGN))
    return found


CHECK = Check(
    layer="schedules",
    claim="the trigger that computes next_run_at is active",
    remedy="autosync-db repair schedule_trigger_enabled",
    remedies={
        "foreign": ByYou(_FOREIGN.replace("NAME", "{trigger}"), then="autosync-db verify"),
        "server": ByYou(
            "alter system reset session_replication_role; select pg_reload_conf()",
            where="as a superuser",
            then="autosync-db verify",
        ),
    },
    needs=("head_applied", "objects_current"),
    causes=("head_applied",),
    repair=_draft,
)
