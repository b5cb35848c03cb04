-- project_url_valid: the form of the address, to which dispatch() adds /functions/v1/ and the function's name.
with stored as (
    select btrim(s.secret, E' \t\r\n') as url
    from autosync.stored_secrets() as s
    where s.name = 'project_url'
),
parts as (
    select rtrim(u.url, '/') as address,
        lower(substring(u.url, '^([A-Za-z][A-Za-z0-9+.-]*)://')) as scheme,
        lower(substring(u.url, '^(?:[A-Za-z][A-Za-z0-9+.-]*://)?(?:[^/?#@]*@)?(\[[^]/]*\]|[^/?#:]*)')) as host,
        substring(u.url, '^(?:[A-Za-z][A-Za-z0-9+.-]*://)?[^/?#]*(.*)$') as rest,
        substring(u.url, '^[A-Za-z][A-Za-z0-9+.-]*://(?:[^/?#@]*@)?(?:\[[^]/]*\]|[^/?#:]*):([^/?#@]*)(?:[/?#]|$)') as port,
        u.url ~ '^[A-Za-z][A-Za-z0-9+.-]*://[^/?#]*@' as has_login
    from stored as u
    where u.url <> ''
)
select f.status, 'secret project_url' as object, f.detail, jsonb_build_object('secret', 'project_url', 'reason', f.reason,
    'is_known', autosync.proven_address() is not null) as facts
from parts as p
cross join lateral (
    select 'critical' as status, 'has no scheme: an address starts with https://' as detail, 'scheme' as reason
    where p.scheme is null
    union all
    select 'critical', format('has the scheme %s, not https', p.scheme), 'scheme'
    where p.scheme not in ('http', 'https')
    union all
    select 'critical', 'has its scheme twice', 'scheme'
    where p.host in ('http', 'https') and p.rest ~ '^//'
    union all
    select 'critical', 'names no host', 'host'
    where p.host = '' or p.host !~ '^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)$' or p.host ~ '^\.|\.\.'
    union all
    select 'critical', 'is the ref of a project alone: its address is https://REF.supabase.co', 'host'
    where p.scheme is not null and p.host ~ '^[a-z]{20}$' and p.address is distinct from autosync.proven_address()
    union all
    select 'critical', 'has a port that does not exist', 'port'
    where p.scheme is not null and p.port <> ''
        and (p.port !~ '^[0-9]{1,5}$' or not lpad(p.port, 5, '0') between '00001' and '65535')
    union all
    select 'critical', format('names the port of the database (%s), not that of the project''s API', p.port), 'database'
    where p.port in ('5432', '6543') and p.host ~ '\.supabase\.(co|in)$'
    union all
    select 'critical', format('is an address of the database (%s), not of the project''s API', p.host), 'database'
    where p.host ~ '^db\.[a-z]{20}\.supabase\.(co|in)$' or p.host ~ '\.pooler\.supabase\.com$'
    union all
    select 'critical', 'is an address of the dashboard, not of the project''s API', 'dashboard'
    where p.host in ('supabase.com', 'www.supabase.com', 'app.supabase.com', 'app.supabase.io')
    union all
    select 'critical', format('is an address of another service (%s), not of the project''s API', p.host), 'service'
    where p.host ~ '(^|\.)supabase\.(com|io)$'
            and p.host !~ '^((www|app)\.)?supabase\.com$|^app\.supabase\.io$|\.pooler\.supabase\.com$'
        or p.host ~ '(^|^(api|app|www)\.|^[^.]+\.[^.]+\.)supabase\.(co|in)$' and p.host !~ '^db\.[a-z]{20}\.supabase\.(co|in)$'
    union all
    -- a project may have such a name, and a call has proven it then
    select 'critical', 'holds a placeholder where the project''s ref belongs', 'placeholder'
    where p.host ~ ('^([^.]*_[^.]*|your[-.]?(project|supabase|ref|app|own|subdomain|url|host).*|(supabase-?)?project-?(ref|id|url|name)'
            || '|ref|project|example|placeholder|change-?me|x{4,})\.supabase\.(co|in)$')
        and p.address is distinct from autosync.proven_address()
    union all
    select 'critical', 'ends in the path of the functions, which dispatch() adds itself', 'path'
    where p.rest ~ '^[^?#]*/functions(/|$)'
    union all
    select 'critical', 'ends in a path, where dispatch() adds that of the function', 'path'
    where p.rest !~ '^[^?#]*/functions(/|$)'
        and (p.rest ~ '^[^?#]*/(rest|auth|storage|realtime|graphql)/v\d+(/|$)'
            or p.host ~ '\.supabase\.(co|in)$' and p.rest ~ '^/+[^/?#]')
    union all
    select 'critical', 'has a query or a fragment, after which no path can follow', 'query'
    where p.rest ~ '[?#]'
    union all
    select 'warning', 'holds a login, which every request shows', 'login'
    where p.has_login
    union all
    select 'warning', 'is not encrypted, so the network sees the key, and a redirect to https turns the call into a GET', 'unencrypted'
    where p.scheme = 'http'
        and not (
            p.host !~ '[.:]'
            or p.host ~ '\.(localhost|local|internal|test)$'
            or p.host ~ '^(127|10)\.|^192\.168\.|^172\.(1[6-9]|2\d|3[01])\.|^169\.254\.'
            or p.host ~ '^\[(::1|f[cde])'
        )
) as f
union all
select 'unknown', 'secret project_url', 'is not stored, or this role cannot see it', jsonb_build_object('secret', 'project_url', 'reason', 'missing')
where not exists (select from parts)
    and exists (
        select from chosen_jobs as c
        join autosync.job as j on j.name = c.name
        where j.function is not null and (j.enabled and j.paused_at is null or autosync.secrets_hidden() is not null)
    )
