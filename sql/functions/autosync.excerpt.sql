-- excerpt(body): the first 500 characters of an HTTP body, without anything that looks like a key.
-- requires: 0005
-- pg_net stores bodies unchecked, so a body may be invalid in the server's own encoding.
create or replace function autosync.excerpt(body text)
returns text
language plpgsql
stable
set search_path = ''
as $$
begin
    return pg_catalog.regexp_replace(
        pg_catalog.convert_from(pg_catalog.convert_to(pg_catalog.left(body, 500), 'UTF8'), 'UTF8'),
        'eyJ[A-Za-z0-9_.-]{10,}|sb_(secret|publishable)_[A-Za-z0-9_-]+',
        '***',
        'g'
    );
exception
    when character_not_in_repertoire or untranslatable_character then
        return '(the body is not valid UTF-8)';
end
$$;

revoke all on function autosync.excerpt(text) from public;

comment on function autosync.excerpt(text) is 'a short, printable part of a response body';
