-- proven_address(): the project's address at the last call that succeeded; NULL before the first. It is no secret.
-- requires: 0005
create or replace function autosync.proven_address()
returns text
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select s.value #>> '{}' from autosync.setting as s where s.name = 'proven_address'
$$;

revoke all on function autosync.proven_address() from public;

comment on function autosync.proven_address() is 'the project''s address at the last call that succeeded';
