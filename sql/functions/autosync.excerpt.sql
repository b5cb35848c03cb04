-- excerpt(body): the first 500 characters of an HTTP body, without anything that looks like a key.
-- requires: 0005
-- pg_net stores bodies unchecked, so a body may be invalid in the server's own encoding. Strict: each tick asks for three
-- excerpts of every call that has no answer yet, and would read the secrets for each.
create or replace function autosync.excerpt(body text)
returns text
language plpgsql
stable
strict
set search_path = pg_catalog, pg_temp
as $$
declare
    shown text;
    known text;
    ours text[];
begin
    -- more than is kept, so that a key at the cut is still seen whole
    shown := pg_catalog.convert_from(pg_catalog.convert_to(pg_catalog.left(body, 4000), 'UTF8'), 'UTF8');
    shown := autosync.mask_keys(shown);
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
    -- control characters would reach terminals and the logs of CI systems
    return pg_catalog.left(pg_catalog.regexp_replace(shown, '[[:cntrl:]]+', ' ', 'g'), 500);
exception
    when character_not_in_repertoire or untranslatable_character then
        return '(the body is not valid UTF-8)';
end
$$;

revoke all on function autosync.excerpt(text) from public;

comment on function autosync.excerpt(text) is 'a short, printable part of a response body';
