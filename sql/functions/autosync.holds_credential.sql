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
as $$
    select content ~* 'authorization|key|secret|token|password|auth|bearer|code|sig' and exists (
        select from regexp_matches(
            content,
            '(?:''''|[''\"])(?:(?:proxy-)?authorization|api-?key|x-(?!idempotency|cache|dedup|partition|routing|surrogate|trace)[a-z0-9-]*(?:secret|token|key|auth|password))(?:''''|[''\"])(?:::\w+)?\s*[:,]\s*e?(?:''''|[''\"])(?:(?:bearer|basic|token)\s+)?(?:(?:%s)?''\s*(?:\|\||,)\s*'')?((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{8,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{20,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|(?:''''|[''\"])[a-z0-9_]*(?:secret|token|password|api_?key|access_?key)(?:''''|[''\"])(?:::\w+)?\s*[:,]\s*e?(?:''''|[''\"])((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{12,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{32,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|\m[a-z0-9_]*(?:secret|token|password|api_?key|access_?key)(?:\s+(?:constant\s+)?(?:text|varchar))?\s*(?::=|=>)\s*e?(?:''''|[''\"])((?=[A-Za-z!#%@:;?^_.~+/=-]*[0-9])[A-Za-z0-9!#%@:;?^_.~+/=-]{12,}(?![A-Za-z0-9!#%@:;?^_.~+/=-])|[A-Za-z!#%@:;?^_.~+/=-]{32,}(?![A-Za-z0-9!#%@:;?^_.~+/=-]))(?=[''\"])'
            '|[''\":=]\s*bearer\s+(?:(?:%s)?''\s*(?:\|\||,)\s*'')?((?=[A-Za-z_.~+/=-]*[0-9])[A-Za-z0-9_.~+/=-]{16,}(?![A-Za-z0-9_.~+/=-])|[A-Za-z_.~+/=-]{32,}(?![A-Za-z0-9_.~+/=-]))'
            '|[?&](?:[a-z0-9_-]*(?:api[-_]?key|secret|token|password)|key|code|sig|signature|auth)=(?:(?:%s)?''\s*(?:\|\||,)\s*'')?((?=[A-Za-z_.~+/=-]*[0-9])[A-Za-z0-9_.~+/=-]{12,}(?![A-Za-z0-9_.~+/=-])|[A-Za-z_.~+/=-]{24,}(?![A-Za-z0-9_.~+/=-]))',
            'gi'
        ) as m
        where coalesce(m[1], m[2], m[3], m[4], m[5]) !~* '^(?:eyJ|sb_|sbp_)|your[-_ ]|<.*>|x{6,}|changeme|placeholder|example|\.\.\.|replace|redacted|dummy|[-_]here\M'
    )
$$;

revoke all on function autosync.holds_credential(text) from public;

comment on function autosync.holds_credential(text) is 'whether a text has an opaque value under a name that carries credentials';
