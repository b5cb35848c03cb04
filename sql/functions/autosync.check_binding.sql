-- check_binding(): raise when this database is bound to another project than the one that a call would go to, or is a copy in one.
-- requires: 0004
-- Asked by each tick, in a session that has read nothing yet. So one look tells what is nearly always so: the database is bound to
-- nothing, or to the project that the stored address names. Whatever else it is, binding_findings() judges.
create or replace function autosync.check_binding()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    complaint text;
    bound jsonb := (select s.value from autosync.setting as s where s.name = 'binding');
begin
    if bound ->> 'project_ref' is null then
        return;
    end if;
    if coalesce(bound ->> 'inherited_by', bound ->> 'project_ref') = bound ->> 'project_ref' and exists (
        select
        from autosync.stored_secrets() as s
        where s.name = 'project_url' and starts_with(s.secret, format('https://%s.supabase.', bound ->> 'project_ref'))
    ) then
        return;
    end if;
    select f.object || ' ' || f.detail into complaint
    from autosync.binding_findings() as f
    where f.status = 'critical'
    order by f.object
    limit 1;
    if complaint is not null then
        raise exception 'no call is made: %', complaint
            using hint = 'is this a copy? see: autosync-db explain database_is_the_bound_one';
    end if;
end
$$;

revoke all on function autosync.check_binding() from public;

comment on function autosync.check_binding() is 'refuses to call a project that this database is not bound to';
