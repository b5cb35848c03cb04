-- put_secret(secret_name, new_value): store a secret where the secrets are; return whether anything changed.
-- requires: 0006
-- Called with values from a temporary table that was filled by COPY: the server logs statements and parameters when its
-- settings say so, and never copied rows. An error of the table would quote the row, so it is replaced by one that does not.
create or replace function autosync.put_secret(secret_name text, new_value text)
returns boolean
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    present_id uuid;
    present_value text;
    is_taken boolean;
    refused_by text;
begin
    if autosync.secret_store() <> 'vault' then
        begin
            insert into public.pg_cron_secrets as s (name, secret)
            values (put_secret.secret_name, put_secret.new_value)
            on conflict (name) do update
            set secret = excluded.secret, updated_at = clock_timestamp()
            where s.secret is distinct from excluded.secret;
            return found;
        exception
            when integrity_constraint_violation then
                get stacked diagnostics refused_by = constraint_name;
                raise exception 'public.pg_cron_secrets refuses the value of "%": constraint "%"', secret_name, refused_by
                    using errcode = 'check_violation', hint = 'see the table''s constraints: \d public.pg_cron_secrets';
        end;
    end if;

    execute
        $query$
        select v.id, v.decrypted_secret
        from vault.decrypted_secrets as v
        where v.name in ($1, 'autosync.' || $1) and v.description like 'autosync-db%'
        $query$
    into present_id, present_value
    using secret_name;
    if present_id is not null then
        if present_value is not distinct from new_value then
            return false;
        end if;
        execute 'select vault.update_secret($1, $2)' using present_id, new_value;
    else
        -- one of the project's own keeps its name and its value
        execute 'select exists (select from vault.secrets as v where v.name = $1)' into is_taken using secret_name;
        execute 'select vault.create_secret($1, $2, $3)'
        using
            new_value,
            case when is_taken then 'autosync.' else '' end || secret_name,
            'autosync-db: a secret of the scheduled calls';
    end if;
    perform autosync.note_secret_change('vault', secret_name, present_value, new_value);
    return true;
end
$$;

revoke all on function autosync.put_secret(text, text) from public;

comment on function autosync.put_secret(text, text) is 'store a secret, in the table or the vault';
