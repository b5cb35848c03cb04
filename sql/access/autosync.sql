-- schema autosync: no role of the API may use it or anything in it.
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
    end loop;
end
$$;
