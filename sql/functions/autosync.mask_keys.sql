-- mask_keys(content): a text with everything that looks like a key, public ones too, replaced by ***.
-- requires: 0004
-- Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py.
create or replace function autosync.mask_keys(content text)
returns text
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select regexp_replace(
        content,
        'eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*'
        '|sb_secret_[A-Za-z0-9_-]{8,}'
        '|sbp_(?:v0_|oauth_)?[0-9a-f]{40}'
        '|sb_publishable_[A-Za-z0-9_-]{8,}',
        '***', 'g'
    )
$$;

revoke all on function autosync.mask_keys(text) from public;

comment on function autosync.mask_keys(text) is 'a text with everything that looks like a key, public ones too, replaced by ***';
