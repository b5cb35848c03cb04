"""Create or complete public.auto_sync_schedules, the table of scheduled syncs.

A table that was made by hand is completed in place: every row and id stays, the missing columns, checks and
indexes are added, and the trigger that recomputed next_run_at on every update goes away together with its
functions. Values that the checks cannot accept, and that the earlier table let in, are mended to the nearest
that behaves alike. What is replaced is remembered, and a downgrade gives the table back instead of dropping it.

While it looks, mends and builds what needs no new column, an adopted table can be read and not written; from the
first new column to the commit it can be neither.
"""

from __future__ import annotations

from alembic import op

from autosync_db.schedules import table
from autosync_db.schema import adoption

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

# Foreign keys to the application's tables are the application's: an adopted table keeps those it has.
TABLE = """
create table if not exists public.auto_sync_schedules (
    id uuid primary key default gen_random_uuid(),
    integration_id uuid not null unique,
    organization_id uuid not null,
    enabled boolean not null default false,
    frequency_minutes integer not null default 15,
    direction text not null default 'bidirectional',
    conflict_resolution text not null default 'newest_wins',
    only_online boolean not null default true,
    time_window_enabled boolean not null default false,
    time_window_start time,
    time_window_end time,
    device_filter text not null default 'all',
    device_tags text[],
    last_run_at timestamptz,
    last_run_status text,
    last_run_summary jsonb,
    next_run_at timestamptz,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    created_by uuid,
    updated_by uuid
)
"""

COLUMNS = """
    add column if not exists timezone text not null default 'UTC',
    add column if not exists claim_id uuid,
    add column if not exists claimed_at timestamptz,
    add column if not exists claim_expires_at timestamptz,
    add column if not exists consecutive_failures integer not null default 0
"""

CHECKS = {
    "auto_sync_schedules_frequency_minutes_check": "frequency_minutes between 1 and 44640",
    "auto_sync_schedules_direction_check": "direction in ('import', 'export', 'bidirectional')",
    "auto_sync_schedules_conflict_resolution_check": (
        "conflict_resolution in ('newest_wins', 'local_wins', 'remote_wins', 'manual')"
    ),
    "auto_sync_schedules_device_filter_check": "device_filter in ('all', 'tagged')",
    "auto_sync_schedules_last_run_status_check": "last_run_status in ('success', 'partial', 'failed')",
    # A lone bound of a window that is off harms nobody, and earlier tables may hold one.
    "valid_time_window": (
        "not time_window_enabled or (time_window_start is not null and time_window_end is not null "
        "and time_window_start <> time_window_end)"
    ),
    "auto_sync_schedules_consecutive_failures_check": "consecutive_failures >= 0",
    "auto_sync_schedules_claim_check": "num_nulls(claim_id, claimed_at, claim_expires_at) in (0, 3)",
}
NAMED_CHECKS = ", ".join(f"('{name}', $check${condition}$check$)" for name, condition in CHECKS.items())

# the trigger that recomputed next_run_at on every update, by its name or by its function
RETIRED_TRIGGERS = """
    select t.tgname as name
    from pg_catalog.pg_trigger as t
    where t.tgrelid = to_regclass('public.auto_sync_schedules') and not t.tgisinternal
        and (
            t.tgname = 'trigger_update_auto_sync_next_run'
            or t.tgfoid = to_regprocedure('public.update_auto_sync_next_run()')
        )
    order by t.tgname
"""
# the unique constraint has the same index; an index on a boolean is never selective
RETIRED_INDEXES = """
    select c.oid, c.relname as name
    from pg_catalog.pg_index as i
    join pg_catalog.pg_class as c on c.oid = i.indexrelid
    join pg_catalog.pg_attribute as a on a.attrelid = i.indrelid and a.attnum = i.indkey[0]
    where i.indrelid = to_regclass('public.auto_sync_schedules') and i.indnatts = 1 and not i.indisunique
        and (c.relname, a.attname) in (
            ('idx_auto_sync_schedules_integration_id', 'integration_id'),
            ('idx_auto_sync_schedules_enabled', 'enabled')
        )
    order by c.relname
"""
# callers in the text of functions leave no dependency
RETIRED_FUNCTIONS = """
    select p.oid, p.oid::regprocedure::text as name, (
        select string_agg(f.oid::regprocedure::text, ', ' order by f.oid::regprocedure::text)
        from pg_catalog.pg_proc as f
        where f.pronamespace <> 'pg_catalog'::regnamespace and f.oid <> p.oid
            and f.prosrc ~ ('\\m' || p.proname || '\\M')
            and f.oid is distinct from to_regprocedure('public.update_auto_sync_next_run()')
    ) as users
    from (values
        (1, to_regprocedure('public.update_auto_sync_next_run()')),
        (2, to_regprocedure('public.calculate_next_run(integer, boolean, time, time)'))
    ) as w (position, signature)
    join pg_catalog.pg_proc as p on p.oid = w.signature
    order by w.position
"""


def _mend(mend: adoption.Mend) -> str:
    """Return the statements that mend rows, remember their values and tell how many there were."""
    table = "public.auto_sync_schedules"
    if mend.remembered:
        statement = f"""
    with before as (
        select s.id, s.{mend.column} as value from {table} as s where {mend.which}
    ),
    mended as (
        update {table} as s set {mend.column} = {mend.becomes}
        from before as b
        where b.id = s.id
        returning s.id, b.value as value_before, s.{mend.column} as value
    )
    insert into autosync.adopted (revision, step, object, undo)
    select '0003', {adoption.ROW}, 'row ' || m.id, format(
        'update {table} set {mend.column} = %L where id = %L and {mend.column} is not distinct from %L',
        m.value_before, m.id, m.value)
    from mended as m;"""
    else:
        statement = f"""
    update {table} set {mend.column} = {mend.becomes} where {mend.which};"""
    return f"""{statement}
    get diagnostics mended_rows = row_count;
    if mended_rows > 0 then
        raise warning '{table}: {mend.told} (rows: %)', mended_rows;
    end if;"""


# A table of the project's: who may write it waits from here on, who reads it does not.
ADOPTED = f"""
do $adopt$
declare
    search_path_before constant text := current_setting('search_path');
    chosen constant jsonb := nullif(current_setting('autosync.isolation', true), '');
    mode text;
    columns jsonb;
    retired name;
    mended_rows bigint;
begin
    if to_regclass('public.auto_sync_schedules') is null then
        return;
    end if;
    lock table public.auto_sync_schedules in share row exclusive mode;

    -- who sees what stays as it is, unless the settings file, which migrate passes on, says something else
    perform set_config('search_path', '', true);
    mode := ({adoption.ISOLATION_FOUND});
    insert into autosync.setting (name, value)
    values ('isolation', coalesce(chosen, jsonb_build_object('mode', mode)))
    on conflict (name) do nothing;
    if found and chosen is null and mode = 'custom' then
        insert into autosync.setting (name, value) values ('isolation_undecided', 'true');
        raise warning 'public.auto_sync_schedules keeps its policies: choose [isolation] mode in autosync.toml';
    elsif found and chosen ->> 'mode' <> mode and mode <> 'none' then
        raise warning 'public.auto_sync_schedules loses its policies, which are like mode "%": the settings say "%"',
            mode, chosen ->> 'mode';
    end if;
    columns := ({adoption.user_columns(table.API_COLUMNS)});
    if mode <> 'none' and columns is not null then
        insert into autosync.setting (name, value) values ('user_columns', columns)
        on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp();
    end if;

    -- the trigger that goes away would move what is mended
    for retired in {RETIRED_TRIGGERS} loop
        insert into autosync.adopted (revision, step, object, undo)
        select '0003', {adoption.TRIGGER}, 'trigger ' || t.tgname, pg_get_triggerdef(t.oid) || format(
            '; alter table public.auto_sync_schedules %s trigger %I',
            case t.tgenabled
                when 'D' then 'disable' when 'R' then 'enable replica' when 'A' then 'enable always' else 'enable'
            end,
            t.tgname)
        from pg_catalog.pg_trigger as t
        where t.tgrelid = to_regclass('public.auto_sync_schedules') and t.tgname = retired;
        execute format('alter table public.auto_sync_schedules disable trigger %I', retired);
    end loop;
    {"".join(_mend(mend) for mend in adoption.MENDS)}
    perform set_config('search_path', search_path_before, true);
end
$adopt$
"""

# All in one statement, so that a large table is read once.
COMPLETED = f"""
do $complete$
declare
    adopted constant boolean := exists (select from autosync.adopted as a where a.revision = '0003');
    changes text[] := array[$columns${COLUMNS}$columns$];
    wanted record;
begin
    -- how the server itself shows our checks
    create temporary table autosync_shape (like public.auto_sync_schedules);
    alter table pg_temp.autosync_shape {COLUMNS};
    for wanted in select c.name, c.condition from (values {NAMED_CHECKS}) as c (name, condition) loop
        execute format(
            'alter table pg_temp.autosync_shape add constraint %I check (%s)', wanted.name, wanted.condition);
    end loop;
    for wanted in
        select o.conname as name, pg_get_constraintdef(o.oid) as ours, pg_get_constraintdef(k.oid) as theirs
        from pg_catalog.pg_constraint as o
        left join pg_catalog.pg_constraint as k
            on k.conrelid = to_regclass('public.auto_sync_schedules') and k.conname = o.conname
        where o.conrelid = to_regclass('pg_temp.autosync_shape') and o.contype = 'c'
        order by o.conname
    loop
        continue when wanted.theirs = wanted.ours;
        if adopted then
            insert into autosync.adopted (revision, step, object, undo) values (
                '0003', {adoption.OWN_CONSTRAINT}, 'constraint ' || wanted.name,
                format('alter table public.auto_sync_schedules drop constraint if exists %I', wanted.name));
        end if;
        if wanted.theirs is not null
            and wanted.name <> 'valid_time_window' and replace(wanted.theirs, ' NOT VALID', '') <> wanted.ours then
            -- it says something else, so it is the project's and stays, under another name
            execute format('alter table public.auto_sync_schedules rename constraint %I to %I',
                wanted.name, wanted.name || '_before');
            insert into autosync.adopted (revision, step, object, undo) values (
                '0003', {adoption.CONSTRAINT}, 'constraint ' || wanted.name,
                format('alter table public.auto_sync_schedules rename constraint %I to %I',
                    wanted.name || '_before', wanted.name));
        elsif wanted.theirs is not null then
            changes := changes || format('drop constraint %I', wanted.name);
            insert into autosync.adopted (revision, step, object, undo) values (
                '0003', {adoption.CONSTRAINT}, 'constraint ' || wanted.name,
                format('alter table public.auto_sync_schedules add constraint %I %s', wanted.name, wanted.theirs));
        end if;
        changes := changes || format('add constraint %I %s', wanted.name, wanted.ours);
    end loop;
    drop table pg_temp.autosync_shape;
    execute 'alter table public.auto_sync_schedules ' || array_to_string(changes, ', ');
end
$complete$
"""

# What is retired goes if nothing else uses it.
RETIRED = f"""
do $retire$
declare
    search_path_before constant text := current_setting('search_path');
    retired record;
    users text;
begin
    if not exists (select from autosync.adopted as a where a.revision = '0003') then
        return;
    end if;
    perform set_config('search_path', '', true);
    for retired in {RETIRED_TRIGGERS} loop
        execute format('drop trigger %I on public.auto_sync_schedules', retired.name);
    end loop;

    for retired in {RETIRED_INDEXES} loop
        insert into autosync.adopted (revision, step, object, undo)
        values ('0003', {adoption.INDEX}, 'index ' || retired.name, pg_get_indexdef(retired.oid));
        execute format('drop index public.%I', retired.name);
    end loop;

    for retired in {RETIRED_FUNCTIONS} loop
        users := retired.users;
        if users is null then
            begin
                insert into autosync.adopted (revision, step, object, undo)
                select '0003', {adoption.FUNCTION}, 'function ' || retired.name, concat_ws('; ',
                    pg_get_functiondef(retired.oid),
                    format('revoke all on function %s from public', retired.name),
                    (
                        select string_agg(format('revoke all on function %s from %I', retired.name, r.rolname), '; ')
                        from pg_catalog.pg_roles as r
                        where r.rolname in ('anon', 'authenticated', 'service_role')
                    ),
                    (
                        select string_agg(format('grant execute on function %s to %s', retired.name,
                            case when e.grantee = 0 then 'public' else quote_ident(r.rolname) end), '; ')
                        from pg_catalog.aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as e
                        left join pg_catalog.pg_roles as r on r.oid = e.grantee
                    ))
                from pg_catalog.pg_proc as p
                where p.oid = retired.oid;
                execute format('drop function %s', retired.name);
            exception
                when dependent_objects_still_exist then users := 'something in this database';
                when insufficient_privilege then users := 'another role';
            end;
        end if;
        if users is not null then
            raise warning 'the function % stays, because % uses or owns it', retired.name, users;
        end if;
    end loop;
    perform set_config('search_path', search_path_before, true);
end
$retire$
"""

# before the table is completed, which locks readers out
INDEXES = {
    "idx_auto_sync_schedules_organization_id": "(organization_id)",
    # for the functions in the field, which select by next_run_at
    "idx_auto_sync_schedules_next_run": "(next_run_at) where enabled",
}
# for auto_sync_claim: a claimed row leaves the due end of this index until its lease ends
CLAIMABLE = """
create index if not exists auto_sync_schedules_claimable_idx
on public.auto_sync_schedules (greatest(next_run_at, claim_expires_at)) where enabled
"""
# indexes that an adopted table lacks go away again
NEW_INDEXES = f"""
insert into autosync.adopted (revision, step, object, undo)
select '0003', {adoption.INDEX}, 'index ' || w.name, format('drop index if exists public.%I', w.name)
from (values ('idx_auto_sync_schedules_organization_id'), ('idx_auto_sync_schedules_next_run')) as w (name)
where to_regclass('public.' || w.name) is null
    and exists (select from autosync.adopted as a where a.revision = '0003')
"""

COMMENTS = {
    "timezone": "IANA zone of the time window, Region/City or UTC",
    "next_run_at": "owned by the trigger auto_sync_schedules_next_run_at; what a writer gives is ignored",
    "claim_id": "set by auto_sync_claim, given back to auto_sync_complete; null while nobody works on it",
    "claimed_at": "when the claim was taken",
    "claim_expires_at": "when the lease ends and anybody may claim the schedule again",
    "consecutive_failures": "failed runs since the last success; the wait for the next run doubles with each",
}


# what the table as it was has no place for
LOST = """
do $lost$
declare
    rows_with_zone bigint;
begin
    if exists (select from autosync.adopted as a where a.revision = '0003') then
        select count(*) into rows_with_zone from public.auto_sync_schedules as s where s.timezone <> 'UTC';
        if rows_with_zone > 0 then
            raise warning 'the time zones of % schedules are lost: the table had no place for them', rows_with_zone;
        end if;
        delete from autosync.setting as s where s.name in ('isolation', 'user_columns', 'isolation_undecided');
    else
        drop table public.auto_sync_schedules cascade;
    end if;
end
$lost$
"""


def upgrade() -> None:
    op.execute(adoption.refuse(adoption.SCHEDULES))
    op.execute(adoption.remember(adoption.SCHEDULES, "0003", adoption.API_ROLES))
    op.execute(ADOPTED)
    op.execute(TABLE)
    op.execute(NEW_INDEXES)
    for name, definition in INDEXES.items():
        op.execute(f"create index if not exists {name} on public.auto_sync_schedules {definition}")
    op.execute(COMPLETED)
    op.execute(CLAIMABLE)
    op.execute(RETIRED)
    op.execute("alter table public.auto_sync_schedules enable row level security")
    op.execute("comment on table public.auto_sync_schedules is 'One scheduled sync per integration'")
    for column, comment in COMMENTS.items():
        op.execute(f"comment on column public.auto_sync_schedules.{column} is '{comment}'")


def downgrade() -> None:
    op.execute("drop trigger if exists auto_sync_schedules_next_run_at on public.auto_sync_schedules")
    for function in (
        "public.auto_sync_complete(uuid, text, jsonb, uuid)",
        "public.auto_sync_claim(integer, interval)",
        "autosync.set_next_run_at()",
        "autosync.next_run_at(boolean, timestamptz, integer, boolean, time, time, text, "
        "timestamptz, integer, timestamptz)",
        "autosync.window_is_open(timestamptz, time, time, text)",
        "autosync.window_opening(timestamptz, time, time, text)",
        "autosync.first_instant(timestamp, text)",
        "autosync.is_time_zone(text)",
    ):
        op.execute(f"drop function if exists {function}")
    op.execute(LOST)
    op.execute(adoption.undo("0003"))
