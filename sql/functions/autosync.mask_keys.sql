-- mask_keys(content): a text with *** for everything that looks like a key, public ones too, or like the password of an address.
-- requires: 0004
-- Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py and password.py.
create or replace function autosync.mask_keys(content text)
returns text
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    select regexp_replace(regexp_replace(regexp_replace(regexp_replace(
        regexp_replace(
            content,
            'eyJ[A-Za-z0-9_-]{10,255}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*'
            '|sb_secret_[A-Za-z0-9_-]{8,}'
            '|sbp_(?:v0_|oauth_)?[0-9a-f]{40}'
            '|sb_publishable_[A-Za-z0-9_-]{8,}',
            '***', 'g'
        ),
        '(://[^\t-\r :/@''\"\u0060]*:(?![0-9]{1,5}[/?#,]))((?=[^\t-\r ]{1,255}@)(?:[^\t-\r ''\"\u0060]|[''\"\u0060]+[0-9A-Za-z])[^\t-\r ''\"\u0060]*(?:[''\"\u0060]+[0-9A-Za-z][^\t-\r ''\"\u0060]*)*)(@)', '\1***\3', 'g'),
        '([?&]password=)([^\t-\r ''\"\u0060&#]+)()', '\1***\3', 'g'),
        '((?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))(?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))){0,9}[ \t]+[Pp]assword[ \t]*=[ \t]*)((?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))()', '\1***\3', 'g'),
        '([Pp]assword[ \t]*=[ \t]*)((?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;])))((?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))){0,9}[ \t]+(?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))', '\1***\3', 'g')
$$;

revoke all on function autosync.mask_keys(text) from public;

comment on function autosync.mask_keys(text) is 'a text with *** for everything that looks like a key, public ones too, or like the password of an address';
