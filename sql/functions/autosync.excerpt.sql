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
begin
    -- more than is kept, so that a key at the cut is still seen whole
    shown := pg_catalog.convert_from(pg_catalog.convert_to(pg_catalog.left(body, 4000), 'UTF8'), 'UTF8');
    shown := autosync.mask_secrets(shown);
    -- control characters would reach terminals and the logs of CI systems
    return pg_catalog.left(pg_catalog.regexp_replace(shown, '[[:cntrl:]]+', ' ', 'g'), 500);
exception
    when character_not_in_repertoire or untranslatable_character then
        return '(the body is not valid UTF-8)';
end
$$;

revoke all on function autosync.excerpt(text) from public;

comment on function autosync.excerpt(text) is 'a short, printable part of a response body';
