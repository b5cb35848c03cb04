-- secret_kind(value): what a secret is by its form: legacy, secret, publishable, url or other.
-- requires: 0004
create or replace function autosync.secret_kind(value text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    select case
        when btrim(value, E' \t\r\n') like 'sb\_secret\_%' then 'secret'
        when btrim(value, E' \t\r\n') like 'sb\_publishable\_%' then 'publishable'
        when btrim(value, E' \t\r\n') ~ '^eyJ[^.]+\.[^.]+\.[^.]*$' then 'legacy'
        when btrim(value, E' \t\r\n') ~* '^https?://' then 'url'
        else 'other'
    end
$$;

revoke all on function autosync.secret_kind(text) from public;

comment on function autosync.secret_kind(text) is 'the kind of a secret, judged by its form alone';
