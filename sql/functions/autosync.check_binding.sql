-- check_binding(): raise when this database is bound to another project than the one that a call would go to, or is a copy in one.
-- requires: 0004
create or replace function autosync.check_binding()
returns void
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    conflict record := autosync.binding_conflict();
begin
    if conflict.object is not null then
        raise exception 'no call is made: % %', conflict.object, conflict.detail
            using hint = 'is this a copy? see: autosync-db explain database_is_the_bound_one';
    end if;
end
$$;

revoke all on function autosync.check_binding() from public;

comment on function autosync.check_binding() is 'refuses to call a project that this database is not bound to';
