-- answerer_kind(answered_by): what whoever answered is: pages, firewall, gateway, function or platform; null for nobody in particular.
-- requires: 0005
-- pages: a web page or a host of such. firewall: a content network, which blocks as well. The names are those of answered_by().
create or replace function autosync.answerer_kind(answered_by text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
as $$
begin
    return case
        when answered_by in ('web page', 'vercel', 'netlify', 'github pages') then 'pages'
        when answered_by in ('cloudflare', 'cloudfront', 'akamai', 'fastly', 'imperva', 'sucuri', 'bunny') then 'firewall'
        when answered_by in (
            'kong', 'supabase', 'envoy', 'nginx', 'apache', 'traefik', 'caddy', 'haproxy', 'load balancer', 'varnish', 'squid', 'iis', 'azure', 'google', 'aws',
            'ngrok', 'heroku', 'railway', 'render', 'fly', 'kubernetes', 'object storage', 'web framework'
        ) then 'gateway'
        when answered_by in ('function', 'platform') then answered_by
    end;
end
$$;

revoke all on function autosync.answerer_kind(text) from public;

comment on function autosync.answerer_kind(text) is 'what whoever answered a call is';
