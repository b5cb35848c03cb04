-- holds_credential(content): whether a text has an opaque value under a name that carries credentials; one of a known form is none.
-- requires: 0004
-- Written by .ci/generate.py from the patterns in autosync_db/supabase/opaque.py.
create or replace function autosync.holds_credential(content text)
returns boolean
language sql
immutable
strict
parallel safe
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    select content ~*
        '(?:authorization|key|secret|token|auth|password|bypass|cookie)[''\"]{1,2}(?:::[a-z0-9_]+)?[\t-\r ]*(?:\][\t-\r ]*,[\t-\r ]*array\[|(?:[:,]|(?:[)][\t-\r ]*)?(?:<>|!=|=)))[\t-\r ]*e?[''\"]'
        '|(?:key|secret|token|password)(?:(?:[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?)?[\t-\r ]*(?::=|=>)|[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?(?:[\t-\r ]*=|[\t-\r ]+default[\t-\r ]))[\t-\r ]*e?[''\"]'
        '|key(?:(?:[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?)?[\t-\r ]*(?::=|=>)|[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?(?:[\t-\r ]*=|[\t-\r ]+default[\t-\r ]))[\t-\r ]*e?[''\"]'
        '|bearer[\t-\r ]'
        '|[?&][a-z0-9_-]*(?:key|secret|token|password|pass|pwd|jwt|code|sig|signature|auth)='
        '|://[^/ ]+:[^/ ]+@'
        '|password[\t-\r ]+e?[''\"]'
        '|vault[.\"]{1,3}(?:create|update)_secret'
        '|pgp_sym_(?:en|de)crypt'
        '|hooks?[.]|discord|telegram|ifttt'
        '|[sr]k_live_|sk-|gh[pousr]_|github_pat|glpat|xox|whsec|akia|sg[.]'
    and exists (
        select from regexp_matches(
            content,
            '(?:''''|[''\"])(?:(?:proxy-)?authorization|(?:(?!x-)[a-z0-9]+-)?api-?key|x-(?!idempotency|cache|dedup|partition|routing|surrogate|trace)[a-z0-9-]*(?:secret|token|key|auth|password|bypass)|(?!x-|page-|next-|continuation-|sync-|csrf-)[a-z0-9]+(?:-[a-z0-9]+)*-(?:secret|token|password)|[a-z0-9-]*(?:subscription|functions|access|admin|master)-key)(?:''''|[''\"])(?:::[a-z0-9_]+)?[\t-\r ]*(?:\][\t-\r ]*,[\t-\r ]*array\[|(?:[:,]|(?:[)][\t-\r ]*)?(?:<>|!=|=)))[\t-\r ]*e?(?:''''|[''\"])(?:(?:bearer|basic|token)[\t-\r ]+)?(?:(?:%s[''\"]{0,2}[})\]]*)?''[\t-\r ]*(?:\|\||,)[\t-\r ]*'')?((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{8,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{20,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|(?:''''|[''\"])(?:[a-z0-9_]+\.)*[a-z0-9_]*(?:secret|token|password|(?:api|access|auth|cron|private|webhook)_?key)(?:''''|[''\"])(?:::[a-z0-9_]+)?[\t-\r ]*(?:\][\t-\r ]*,[\t-\r ]*array\[|(?:[:,]|(?:[)][\t-\r ]*)?(?:<>|!=|=)))[\t-\r ]*e?(?:''''|[''\"])((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{12,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{32,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|(?<![a-z0-9_])[a-z0-9_]*(?:secret|token|password|(?:api|access|auth|cron|private|webhook)_?key)(?:(?:[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?)?[\t-\r ]*(?::=|=>)|[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?(?:[\t-\r ]*=|[\t-\r ]+default[\t-\r ]))[\t-\r ]*e?(?:''''|[''\"])((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{12,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{32,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|(?<![a-z0-9_])(?:[a-z]{0,3}_)?(?:(?:service|role|cron|auth|internal|private|admin|edge|worker|webhook|job|shared|master)_)*key(?:(?:[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?)?[\t-\r ]*(?::=|=>)|[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?(?:[\t-\r ]*=|[\t-\r ]+default[\t-\r ]))[\t-\r ]*e?(?:''''|[''\"])((?=[a-z+/=]*[0-9])[a-z0-9+/=]{20,})(?=[''\"])'
            '|[''\":=][\t-\r ]*bearer[\t-\r ]+(?:(?:%s[''\"]{0,2}[})\]]*)?''[\t-\r ]*(?:\|\||,)[\t-\r ]*'')?((?=[A-Za-z_.~+/=-]*[0-9])[A-Za-z0-9_.~+/=-]{16,}(?![A-Za-z0-9_.~+/=-])|[A-Za-z_.~+/=-]{32,}(?![A-Za-z0-9_.~+/=-]))'
            '|[?&](?:[a-z0-9_-]*(?:(?:api|access|auth|cron|functions|private|service|service_role|webhook)[-_]?key|secret|token|password)|key|pass|pwd|jwt|code|sig|signature|auth)=(?:(?:%s[''\"]{0,2}[})\]]*)?''[\t-\r ]*(?:\|\||,)[\t-\r ]*'')?((?=[A-Za-z_.~+/=%-]*[0-9])[A-Za-z0-9_.~+/=%-]{12,}(?![A-Za-z0-9_.~+/=%-])|[A-Za-z_.~+/=%-]{24,}(?![A-Za-z0-9_.~+/=%-]))'
            '|(?:''''|[''\"])cookie(?:''''|[''\"])(?:::[a-z0-9_]+)?[\t-\r ]*(?:\][\t-\r ]*,[\t-\r ]*array\[|(?:[:,]|(?:[)][\t-\r ]*)?(?:<>|!=|=)))[\t-\r ]*e?(?:''''|[''\"])[^''\"]*(?:sess|sid|auth|token|jwt)[a-z0-9_.-]{0,255}=((?=[A-Za-z_.~+/=-]*[0-9])[A-Za-z0-9_.~+/=-]{16,}(?![A-Za-z0-9_.~+/=-])|[A-Za-z_.~+/=-]{32,}(?![A-Za-z0-9_.~+/=-]))'
            '|https?://[^\t-\r /@:''\"]+:((?!%s|pass(?:word|wd)?@|secret@)[^\t-\r /@''\"|]{6,})@'
            '|(?<![a-z0-9_])password[\t-\r ]+e?(?:''''|[''\"])((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{8,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{20,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|vault\"?\.\"?(?:create_secret\"?[\t-\r ]*\(|update_secret\"?[\t-\r ]*\((?:[^;,''\"()]|''[^'';\"]*''|[(](?:[^;''\"()]|''[^'';\"]*'')*[)])+,)[\t-\r ]*e?(?:''''|[''\"])(?!https?://)((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{8,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{20,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|pgp_sym_(?:en|de)crypt(?:_bytea)?[\t-\r ]*\((?:[^;,''\"()]|''[^'';\"]*''|[(](?:[^;''\"()]|''[^'';\"]*'')*[)])+,[\t-\r ]*e?(?:''''|[''\"])(?!(?:cipher|compress|s2k|convert|disable|sess|unicode)-)((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{8,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{20,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|(?:hooks\.slack\.com/(?:services|workflows|triggers)/[a-z0-9]+/[a-z0-9]+/|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]+/|api\.telegram\.org/bot|\.webhook\.office\.com/webhookb2/|hooks\.zapier\.com/hooks/catch/[0-9]+/|hook\.[a-z0-9]+\.make\.com/|maker\.ifttt\.com/trigger/[^\t-\r /''\"]+/with/key/)([a-z0-9:_@-]{6,})'
            '|(?<![a-z0-9_])([sr]k_live_[0-9a-z]{16,}|sk-(?:proj|ant)-[0-9a-z_-]{16,}|gh[pousr]_[0-9a-z]{30,}|github_pat_[0-9a-z_]{22,}|glpat-[0-9a-z_-]{16,}|xox[abprs]-[0-9a-z-]{16,}|whsec_[0-9a-z]{16,}|akia[0-9a-z]{16}(?![a-z0-9_])|sg\.[0-9a-z_-]{16,}\.[0-9a-z_-]{16,})',
            'gi'
        ) as m
        where coalesce(m[1], m[2], m[3], m[4], m[5], m[6], m[7], m[8], m[9], m[10], m[11], m[12], m[13]) !~* '^(?:eyJ|sb_|sbp_)|your[-_ ]|<.*>|x{6,}|xxxx[-_]xxxx|change[-_]?me|placeholder|redacted|example|\.\.\.|\$\{|\{\{|replace|redacted|dummy|[-_]here(?![a-z0-9_])|^[{\[]*(?:(?:my|missing|next|public|vite|supabase|project|service|role|anon|publishable|cron|api|edge|functions?|secret)_)+(?:key|secret|token|jwt)[}\]]*$'
    )
$$;

revoke all on function autosync.holds_credential(text) from public;

comment on function autosync.holds_credential(text) is 'whether a text has an opaque value under a name that carries credentials';
