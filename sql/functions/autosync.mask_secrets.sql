-- mask_secrets(content): a text with *** for everything that looks like a key, and for every secret that is stored here.
-- requires: 0005
-- Called by excerpt(), and for lines of the platform's log. Strict, as excerpt() is.
create or replace function autosync.mask_secrets(content text)
returns text
language plpgsql
stable
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    shown text := autosync.mask_keys(content);
    known text;
    ours text[];
begin
    -- a secret of no known form, such as a cron secret, is known by its value alone
    begin
        select pg_catalog.array_agg(s.secret) into ours from autosync.stored_secrets() as s where s.name <> 'project_url';
        -- so is what it replaces, which calls carried until now; before revision 0006 nothing was kept
        if pg_catalog.to_regclass('autosync.secret_rotation') is not null then
            execute
                $query$
                select $1 || pg_catalog.array_agg(r.previous)
                from autosync.secret_rotation as r
                where r.kept = 'here' and r.name <> 'project_url' and r.name not like 'setting:%'
                $query$
            into ours
            using ours;
        end if;
        if autosync.secret_store() = 'vault' then
            execute
                $query$
                select $1 || pg_catalog.array_agg(v.decrypted_secret)
                from vault.decrypted_secrets as v
                where v.name like '%.previous' and v.name <> 'project_url.previous' and v.description like 'autosync-db%'
                $query$
            into ours
            using ours;
        end if;
        for known in
            select pg_catalog.btrim(o.secret, E' \t\r\n') from pg_catalog.unnest(ours) as o (secret)
        loop
            -- a shorter one would mask what is none
            if pg_catalog.length(known) >= 8 then
                shown := pg_catalog.replace(shown, known, '***');
            end if;
        end loop;
    exception
        when others then
            -- a vault that cannot be opened must not keep outcomes from being recorded
            shown := '(not shown: the secrets cannot be read, so none could be taken out of it)';
    end;
    return shown;
end
$$;

revoke all on function autosync.mask_secrets(text) from public;

comment on function autosync.mask_secrets(text) is 'a text with *** for what looks like a key and for what is stored as a secret';
