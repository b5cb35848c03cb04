-- schema autosync: no role of the API may use it or anything in it, but for the pure functions that claiming needs.
-- requires: 0001
revoke all on schema autosync from public;
revoke all on all tables in schema autosync from public;

do $$
declare
    api_role name;
begin
    for api_role in select r.rolname from pg_catalog.pg_roles as r
        where r.rolname in ('anon', 'authenticated', 'service_role')
    loop
        execute pg_catalog.format('revoke all on schema autosync from %I', api_role);
        execute pg_catalog.format('revoke all on all tables in schema autosync from %I', api_role);
        execute pg_catalog.format('revoke all on all sequences in schema autosync from %I', api_role);
        execute pg_catalog.format('revoke all on all functions in schema autosync from %I', api_role);
    end loop;
    -- auto_sync_claim works with the rights of its caller
    if to_regrole('service_role') is not null then
        grant usage on schema autosync to service_role;
        if to_regprocedure('autosync.window_is_open(timestamptz, time, time, text)') is not null then
            grant execute on function
                autosync.window_is_open(timestamptz, time, time, text),
                autosync.window_opening(timestamptz, time, time, text),
                autosync.first_instant(timestamp, text)
            to service_role;
        end if;
    end if;
end
$$;
