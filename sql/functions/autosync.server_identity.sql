-- server_identity(): which server and database this is: what a logical copy elsewhere does not share.
-- requires: 0004
-- The system identifier is made by initdb: a restore of a dump has another one, a copy of the files the same.
create or replace function autosync.server_identity()
returns jsonb
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    system_identifier text;
begin
    begin
        select c.system_identifier into system_identifier from pg_catalog.pg_control_system() as c;
    exception
        when insufficient_privilege or undefined_function or feature_not_supported then
            system_identifier := null;
    end;
    return (
        select jsonb_build_object(
            'system_identifier', system_identifier,
            'server_major', current_setting('server_version_num')::integer / 10000,
            'database', d.datname,
            'database_oid', d.oid::bigint
        )
        from pg_catalog.pg_database as d
        where d.datname = current_database()
    );
end
$$;

revoke all on function autosync.server_identity() from public;

comment on function autosync.server_identity() is 'system identifier, major version and database of this server';
