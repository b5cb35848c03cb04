-- read_secret(secret_name): the value of a secret, trimmed; raises when it is missing or blank.
-- requires: 0004
-- A NULL would make pg_net drop the header and send the request without it, so there is never one.
create or replace function autosync.read_secret(secret_name text)
returns text
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_value text;
    place text;
    -- setup stores what it can prove
    missing constant text := case when secret_name in ('project_url', 'service_role_key', 'cron_secret')
        then 'run: autosync-db setup' else format('run: autosync-db secrets set %s --from-file PATH', secret_name) end;
begin
    select btrim(s.secret, E' \t\r\n') into found_value
    from autosync.stored_secrets() as s
    where s.name = read_secret.secret_name;
    if found_value <> '' and found_value !~ '[^!-~]' then
        return found_value;
    end if;
    place := case autosync.secret_store() when 'vault' then 'the vault' else 'public.pg_cron_secrets' end;
    if found_value is null then
        raise exception 'the secret "%" is missing from %', secret_name, place
            using errcode = 'no_data_found', hint = missing;
    end if;
    if found_value = '' then
        raise exception 'the secret "%" in % is blank', secret_name, place
            using errcode = 'no_data_found', hint = missing;
    end if;
    raise exception 'the secret "%" in % contains blanks or other characters that no header carries', secret_name, place
        using errcode = 'invalid_text_representation', hint = 'run: autosync-db repair secrets_clean';
end
$$;

revoke all on function autosync.read_secret(text) from public;

comment on function autosync.read_secret(text) is 'a secret of the scheduled calls, or an error that names it';
