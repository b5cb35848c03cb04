"""The trigger that computes next_run_at is active."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene

_TRIGGER = "sql/triggers/public.auto_sync_schedules.auto_sync_schedules_next_run_at.sql"
_FUNCTION = "sql/functions/autosync.set_next_run_at.sql"
_ENABLE = "alter table public.auto_sync_schedules enable trigger auto_sync_schedules_next_run_at"
_NAME = "auto_sync_schedules_next_run_at"


def _draft(scene: Scene) -> list[Repair]:
    """Create the trigger as its file says, switched on, and drop the one it replaced."""
    found = []
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
    return found


CHECK = Check(
    layer="schedules",
    claim="the trigger that computes next_run_at is active",
    remedy="autosync-db repair schedule_trigger_enabled",
    needs=("head_applied",),
    causes=("head_applied",),
    repair=_draft,
)
