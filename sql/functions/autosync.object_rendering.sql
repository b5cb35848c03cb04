-- object_rendering(paths): a hash of how the server itself shows what each file made; null where there is nothing.
-- requires: 0001
-- What it is now is compared with what it was right after applying the file. The text between the quotes is also run by
-- itself, as a query: the function may be missing, older or edited where the comparison is needed.
-- Grants are compared as sets, default ones included: a restore gives them in another order, or not at all. What the owner
-- has itself is left out: PostgreSQL 17 gives it MAINTAIN, too, which no file says. Jobs are
-- not shown: autosync.jobs_current() judges them. An empty search path, or this one, shows names with their schema. The other
-- settings are those that change how the server writes names and constants.
create or replace function autosync.object_rendering(paths text[])
returns table (path text, live_hash text)
language sql
stable
set search_path = pg_catalog, pg_temp
set quote_all_identifiers = off
set intervalstyle = postgres
set datestyle = 'ISO, MDY'
as $$
with wanted as (
    select path, split_part(path, '/', 2) as kind,
        regexp_replace(split_part(path, '/', 3), '[.]sql$', '') as name
    from unnest($1) as path
)
select w.path, encode(sha256(convert_to(case w.kind
    when 'extensions' then (select 'present' from pg_extension as e where e.extname = w.name)
    when 'functions' then (
        select string_agg(
            pg_get_functiondef(p.oid) || coalesce((
                select string_agg(x::text, ',' order by x::text)
                from unnest(coalesce(p.proacl, acldefault('f', p.proowner))) as x
                where exists (select from aclexplode(array[x]) as e where e.grantee <> p.proowner)
            ), '') || p.proowner::regrole::text,
            ';' order by p.oid::regprocedure::text
        )
        from pg_proc as p
        where p.pronamespace = to_regnamespace(split_part(w.name, '.', 1))
            and p.proname = split_part(w.name, '.', 2)
    )
    when 'triggers' then (
        select pg_get_triggerdef(t.oid) || t.tgenabled::text
        from pg_trigger as t
        where t.tgrelid = to_regclass(split_part(w.name, '.', 1) || '.' || split_part(w.name, '.', 2))
            and t.tgname = split_part(w.name, '.', 3)
    )
    when 'access' then coalesce(
        (
            select c.relrowsecurity::text || c.relforcerowsecurity || coalesce((
                select string_agg(x::text, ',' order by x::text)
                from unnest(coalesce(c.relacl, acldefault('r', c.relowner))) as x
                where exists (select from aclexplode(array[x]) as e where e.grantee <> c.relowner)
            ), '') || coalesce((
                select string_agg(a.attname || x::text, ',' order by a.attname, x::text)
                from pg_attribute as a
                cross join unnest(a.attacl) as x
                where a.attrelid = c.oid and not a.attisdropped
            ), '') || coalesce((
                select case
                    when bool_or(p.policyname = any(array[
                        p.tablename || '_nobody', p.tablename || '_owner', p.tablename || '_organization'
                    ])) then string_agg(
                        concat_ws('|', p.policyname, p.permissive, p.roles, p.cmd, p.qual, p.with_check),
                        ';' order by p.policyname
                    -- a restrictive one is the project's own: it lets nobody in, and stays
                    ) filter (where p.permissive = 'PERMISSIVE')
                    -- in the mode "custom" they are the project's own
                    else 'policies of the project'
                end
                from pg_policies as p
                where p.schemaname = c.relnamespace::regnamespace::text and p.tablename = c.relname
            ), '')
            from pg_class as c
            where position('.' in w.name) > 0 and c.oid = to_regclass(w.name)
        ),
        (
            select coalesce((
                select string_agg(x::text, ',' order by x::text)
                from unnest(coalesce(n.nspacl, acldefault('n', n.nspowner))) as x
                where exists (select from aclexplode(array[x]) as e where e.grantee <> n.nspowner)
            ), '')
            from pg_namespace as n
            where position('.' in w.name) = 0 and n.nspname = w.name
        )
    )
end, 'UTF8')), 'hex')
from wanted as w
$$;

revoke all on function autosync.object_rendering(text[]) from public;

comment on function autosync.object_rendering(text[]) is 'a hash of how the server shows what each file of sql/ made';
