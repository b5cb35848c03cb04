-- secret_store(): where the secrets are: table (public.pg_cron_secrets) or vault.
-- requires: 0004
-- Chosen by [secrets] store of autosync.toml; `autosync-db setup` moves the secrets and changes the answer. In PL/pgSQL, which plans
-- it once a session: a tick asks several times.
create or replace function autosync.secret_store()
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce((select s.value ->> 'store' from autosync.setting as s where s.name = 'secrets'), 'table');
end
$$;

revoke all on function autosync.secret_store() from public;

comment on function autosync.secret_store() is 'where the secrets are: table or vault';
