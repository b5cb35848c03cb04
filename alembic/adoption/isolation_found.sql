-- isolation_found: how far the policies of the table that was there let users in, as one of our modes of isolation.
--
-- "organization" when they say just that and nothing else, "custom" when they say anything else, "none" when they let
-- nobody in. service_role needs none.
do $isolation$
declare
    search_path_before constant text := current_setting('search_path');
    membership constant text := '^\(organization_id IN \( SELECT (\w+)\.organization_id FROM public\.users( \w+)?'
        ' WHERE \(\1\.id = (auth\.uid\(\)|\( SELECT auth\.uid\(\) AS uid\))\)\)\)$';
    mode text;
begin
    -- names are then shown with their schema
    perform set_config('search_path', '', true);
    with policy as (
        select p.cmd, p.permissive,
            p.roles <@ array['public', 'authenticated']::name[] as for_users,
            coalesce(p.qual, 'false') <> 'false' or coalesce(p.with_check, 'false') <> 'false' as lets_in,
            regexp_replace(coalesce(p.qual, p.with_check), '\s+', ' ', 'g') as reads,
            regexp_replace(coalesce(p.with_check, p.qual), '\s+', ' ', 'g') as writes
        from pg_catalog.pg_policies as p
        where p.schemaname = 'public' and p.tablename = 'auto_sync_schedules'
            and not p.roles <@ array['service_role']::name[]
    )
    select case
        when not coalesce(bool_or(p.lets_in), false) then 'none'
        when bool_and(
                p.permissive = 'PERMISSIVE' and p.for_users and p.reads ~ membership and p.writes ~ membership
            )
            and bool_or(p.cmd = 'ALL')
            and (
                select bool_and(has_table_privilege(r.oid, to_regclass('public.auto_sync_schedules'), w.privilege))
                from pg_catalog.pg_roles as r
                cross join (values ('select'), ('insert'), ('update'), ('delete')) as w (privilege)
                where r.rolname = 'authenticated'
            )
            and (
                select count(*) = 2
                from pg_catalog.pg_attribute as a
                where a.attrelid = to_regclass('public.users') and a.attname in ('id', 'organization_id')
                    and a.atttypid = 'uuid'::regtype
            )
            then 'organization'
        else 'custom'
    end
    into mode
    from policy as p;
    perform set_config('search_path', search_path_before, true);
    perform set_config('autosync.isolation_found', to_jsonb(mode)::text, true);
end
$isolation$
