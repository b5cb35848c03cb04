"""No migration that the Supabase CLI recorded here holds a key."""

from psycopg import sql

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene

_LOCK = sql.SQL("lock table supabase_migrations.schema_migrations in share row exclusive mode")
# a trigger, a rule or a view would run what others wrote as this role; under the lock nobody makes one
_GUARD = sql.SQL(
    """do $guard$
begin
    if not exists (
        select from pg_catalog.pg_class as c
        join pg_catalog.pg_namespace as n on n.oid = c.relnamespace
        where c.oid = to_regclass('supabase_migrations.schema_migrations') and c.relkind in ('r', 'p')
            and not exists (
                select from unnest(array[c.relowner, n.nspowner]) as o (owner)
                where not pg_has_role(o.owner, current_user, 'member')
                    and o.owner <> (select a.nspowner from pg_catalog.pg_namespace as a where a.nspname = 'autosync')
            )
            and not exists (select from pg_catalog.pg_trigger as t where t.tgrelid = c.oid and not t.tgisinternal)
            and not exists (select from pg_catalog.pg_rewrite as r where r.ev_class = c.oid)
    ) then
        raise exception 'supabase_migrations.schema_migrations is not as the Supabase CLI makes it'
            using hint = 'drop its triggers and rules, or delete the keys in it as its owner';
    end if;
end
$guard$"""
)


def _draft(scene: Scene) -> list[Repair]:
    """Mask the keys in the texts that the Supabase CLI keeps of its migrations."""
    return [
        Repair(
            "mask the keys in the recorded texts of migrations (rotate them all the same)",
            [_LOCK, _GUARD, *drafts.fixed("no_secret_in_migration_history")],
            destructive=True,
            as_owner=scene.acts_as_owner,
        )
    ]


CHECK = Check(
    layer="secrets",
    claim="no migration that the Supabase CLI recorded here holds a key",
    remedy="autosync-db repair no_secret_in_migration_history",
    needs=("head_applied", "secrets_present"),
    repair=_draft,
)
