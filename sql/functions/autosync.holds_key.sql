-- holds_key(content): whether a text holds what looks like a secret key; a placeholder or a public key is none.
-- requires: 0004
-- Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py.
create or replace function autosync.holds_key(content text)
returns boolean
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
as $$
    select content ~ 'eyJ|sb' and exists (
        select from regexp_matches(
            content,
            'eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*'
            '|sb_secret_[A-Za-z0-9_-]{8,}'
            '|sbp_(?:v0_|oauth_)?[0-9a-f]{40}',
            'g'
        ) as m
        -- "anon" in base64, by its place in a JWT
        where m[1] !~ 'ImFub24i|Jhbm9uI|iYW5vbi' and m[1] !~* 'your[-_ ]|<.*>|x{6,}|changeme|placeholder|example|\.\.\.'
    )
$$;

revoke all on function autosync.holds_key(text) from public;

comment on function autosync.holds_key(text) is 'whether a text holds what looks like a secret key';
