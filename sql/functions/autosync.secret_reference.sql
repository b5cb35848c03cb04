-- secret_reference(secret_name): the subselect by which the text of a cron job reads a secret from where the secrets are.
-- requires: 0004
-- The text of a job that was taken over is kept without the secrets in it; with this it works when it is given back.
create or replace function autosync.secret_reference(secret_name text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    vault_name text;
begin
    if autosync.secret_store() <> 'vault' then
        return format('(select s.secret from public.pg_cron_secrets as s where s.name = %L)', secret_name);
    end if;
    execute
        $query$
        select v.name
        from vault.secrets as v
        where v.name in ($1, 'autosync.' || $1)
        order by v.description like 'autosync-db%' desc
        limit 1
        $query$
    into vault_name
    using secret_name;
    return format(
        '(select v.decrypted_secret from vault.decrypted_secrets as v where v.name = %L)', coalesce(vault_name, secret_name)
    );
end
$$;

revoke all on function autosync.secret_reference(text) from public;

comment on function autosync.secret_reference(text) is 'the subselect that reads a secret, for the text of a cron job';
