-- fingerprint(value): some hex digits of a hash that tell two secrets apart and help nobody to find either.
-- requires: 0004
-- Twelve digits for what has the length of a key. A shorter value might be guessed from them, so it gets four, which
-- one guess in 65,536 fits. fingerprint() in autosync_db/supabase/key.py computes the same.
create or replace function autosync.fingerprint(value text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select left(encode(sha256(convert_to(value, 'UTF8')), 'hex'), case when length(value) < 20 then 4 else 12 end)
$$;

revoke all on function autosync.fingerprint(text) from public;

comment on function autosync.fingerprint(text) is 'what may be shown of a secret to tell it from another';
