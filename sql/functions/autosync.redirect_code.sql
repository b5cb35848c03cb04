-- redirect_code(job_name, location): where a redirect led a call of this job, and whether its key went along, as an error code.
-- requires: 0005
-- REDIRECTED on the same host, REDIRECTED_ELSEWHERE to another, REDIRECTED_WITH_KEY when the call's credential went there, too.
-- libcurl takes the header Authorization away when host, port or protocol is another one, and sends every other header on. The
-- address and the credential are those of now: what they were at the time of the call nobody keeps.
create or replace function autosync.redirect_code(job_name text, location text)
returns text
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    host constant text := '^(?:[a-z][a-z0-9+.-]*:)?//(?:[^/@?#]*@)?(\[[^\]]*\]|[^/:?#]*)';
    called text;
    target text := lower(substring(lower(location) from host));
begin
    select lower(substring(lower(coalesce(j.url, autosync.project_address(j.name))) from host)) into called
    from autosync.job as j
    where j.name = redirect_code.job_name;
    if target is null or called is null or target = called then
        return 'REDIRECTED';
    end if;
    if exists (
        select
        from autosync.job as j
        cross join jsonb_each_text(autosync.call_headers(j.name)) as h
        where j.name = redirect_code.job_name
            and lower(h.key) <> 'authorization'
            -- the public key that a gateway wants is no secret
            and (lower(h.key) in ('x-autosync-cron-secret', lower(j.secret_header)) or autosync.holds_key(h.value))
    ) then
        return 'REDIRECTED_WITH_KEY';
    end if;
    return 'REDIRECTED_ELSEWHERE';
exception
    -- a secret that is missing by now
    when others then
        return 'REDIRECTED';
end
$$;

revoke all on function autosync.redirect_code(text, text) from public;

comment on function autosync.redirect_code(text, text) is 'where a redirect led a call, and whether its key went along';
