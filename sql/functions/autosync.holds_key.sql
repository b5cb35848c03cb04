-- holds_key(content): whether a text holds what looks like a secret; a placeholder, a variable or a public key is none.
-- requires: 0004
-- Written by .ci/generate.py from the patterns in autosync_db/supabase/key.py and password.py.
create or replace function autosync.holds_key(content text)
returns boolean
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    select content ~ 'eyJ|sb|postgres|assword' and (
        exists (
            select from regexp_matches(
                content,
                'eyJ[A-Za-z0-9_-]{10,255}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{43,}'
                '|sb_secret_[A-Za-z0-9_-]{16,}'
                '|sbp_(?:v0_|oauth_)?[0-9a-f]{40}',
                'g'
            ) as m
            where case
                -- in base64, by its place: the role
                when m[1] like 'eyJ%' then m[1] ~ 'InNlcnZpY2Vfcm9sZS|JzZXJ2aWNlX3JvbGUi|ic2VydmljZV9yb2xlI' and not exists (
                    -- a sample: signed with a secret of every local stack, by HMAC (RFC 2104), whose paddings these are
                    select from (values
                        ('\x45434653441b4553554453421b5c41421b42595d53581b415f425e1b57421b5a535745421b05041b555e57445755425344451b5a595851363636363636363636'::bytea, '\x2f292c392e712f393f2e392871362b28712833373932712b352834713d287130393d2f28716f6e713f343d2e3d3f28392e2f713033323b5c5c5c5c5c5c5c5c5c'::bytea),
                        ('\x4f5943441b45434653441b4553554453421b5c41421b42595d53581b415f425e1b57421b5a535745421b05041b555e57445755425344451b5a59585136363636'::bytea, '\x2533292e712f292c392e712f393f2e392871362b28712833373932712b352834713d287130393d2f28716f6e713f343d2e3d3f28392e2f713033323b5c5c5c5c'::bytea)
                    ) as k (inner_pad, outer_pad)
                    cross join lateral convert_to(regexp_replace(m[1], '\.[^.]*$', ''), 'UTF8') as signed
                    where split_part(m[1], '.', 3) = translate(
                        encode(sha256(k.outer_pad || sha256(k.inner_pad || signed)), 'base64'), '+/=', '-_'
                    )
                )
                else m[1] !~* 'your[-_ ]|<.*>|x{6,}|xxxx[-_]xxxx|change[-_]?me|placeholder|redacted|example|\.\.\.|\$\{|\{\{'
                    and encode(sha256(convert_to(m[1], 'UTF8')), 'hex') <> 'c85debb55f2f204d868cc1552c42faa143b4c675f61363ab040dd50b5b5304cd'
            end
        )
        or content ~ 'postgres|assword' and exists (
            -- before a password, itself and behind it
            select from unnest(array[
                '(postgres(?:ql)?(?:\+[a-z0-9_]+)?://[^\t-\r :/@''\"\u0060]*:(?![0-9]{1,5}[/?#,]))((?=[^\t-\r ]{1,255}@)(?:[^\t-\r ''\"\u0060]|[''\"\u0060]+[0-9A-Za-z])[^\t-\r ''\"\u0060]*(?:[''\"\u0060]+[0-9A-Za-z][^\t-\r ''\"\u0060]*)*)(@(?:\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9_.-]*))',
                '(postgres(?:ql)?(?:\+[a-z0-9_]+)?://[^\t-\r ''\"\u0060]{0,255}[?&]password=)([^\t-\r ''\"\u0060&#]+)()',
                '((?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))(?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))){0,9}[ \t]+[Pp]assword[ \t]*=[ \t]*)((?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))()',
                '([Pp]assword[ \t]*=[ \t]*)((?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;])))((?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*(?=[^\t-\r ]{1,255}[\t-\r ])(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|(?:[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))){0,9}[ \t]+(?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*(?:''''[^''\n]*''''|''(?:[^''\\\n]|\\[^\n])*''|[^\t-\r ''\"\u0060]*[^\t-\r ''\"\u0060,;]))'
            ]) as f (form)
            cross join lateral regexp_matches(content, f.form, 'g') as m
            cross join lateral btrim(m[2], '''') as p (secret)
            where p.secret <> '' and p.secret !~* 'your[-_ ]|<.*>|x{6,}|xxxx[-_]xxxx|change[-_]?me|placeholder|redacted|example|\.\.\.|\$\{|\{\{'
                and p.secret !~
                    '^\[.*\]$'
                    '|^[$#%@]?\{.*\}$'
                    '|^\$\(.*\)$'
                    '|^\$[A-Z_][A-Z0-9_]*$'
                    '|^\$[a-z_]+$'
                    '|^\$[0-9]+$'
                    '|^%[0-9$]*[sLIvd]$'
                    '|^%\([A-Za-z_]+\)s$'
                    '|^%[A-Z_]+%$'
                    '|^:[a-z_]+$'
                    '|^[xX*.-]+$'
                    '|^[A-Z_]*(?:PASS|PASSWORD|PASSWD|PWD|SECRET)[A-Z_]*$'
                    '|^(?:[Yy]our|[Mm]y)[-_]?(?:secret[-_]?)?pass(?:word)?$'
                    '|^[\t-\r ]'
                    '|[\t-\r ]$'
                    '|^[+|]'
                and not (
                    p.secret ~ '^(?:postgres|password|passwd|pass|pwd|pw|secret|mysecretpassword)$'
                    and concat(m[1], m[2], m[3]) ~
                        '@(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal|[A-Za-z0-9_-]*)$'
                        '|://(?:[^@:/]*@)?(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal|[A-Za-z0-9_-]*)(?::[0-9]+)?[/?]'
                        '|[Hh]ost(?:addr)?[ \t]*=[ \t]*''*(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal|[A-Za-z0-9_-]*)(?:[\t-\r '']|$)'
                        '|^(?!.*(?:[Hh]ost|://))'
                )
        )
    )
$$;

revoke all on function autosync.holds_key(text) from public;

comment on function autosync.holds_key(text) is 'whether a text holds what looks like a secret';
