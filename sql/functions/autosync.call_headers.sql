-- call_headers(job_name): the headers of a job's call, with the credential that is its own; raises when that is missing.
-- requires: 0004
-- A cron secret, or a function's own secret, has a header of its own. The gateway needs nothing for a function that is
-- deployed without verify_jwt; where it verifies, the public key in the secret gateway_key lets the call through.
create or replace function autosync.call_headers(job_name text)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    job record;
    headers jsonb;
    api_key text;
    is_enough boolean := false;
begin
    select j.headers, j.method, j.function, j.secret_name, j.secret_header, j.secret_prefix, autosync.function_auth(j.name) as active
    into job
    from autosync.job as j
    where j.name = call_headers.job_name;
    headers := coalesce(job.headers, '{}')
        || case when job.method = 'GET' then '{}' else jsonb_build_object('Content-Type', 'application/json') end;
    -- what nearly all jobs have comes first: the session of a tick has planned none of these conditions yet
    if (job.active in ('none', 'secret', 'cron_secret')) is not true then
        api_key := autosync.read_secret('service_role_key');
    elsif job.active = 'none' then
        return headers;
    elsif job.active = 'secret' then
        headers := headers || jsonb_build_object(job.secret_header, job.secret_prefix || autosync.read_secret(job.secret_name));
        -- a gateway looks where such a secret is then
        is_enough := job.function is null or lower(job.secret_header) in ('authorization', 'apikey');
    else
        headers := headers || jsonb_build_object('x-autosync-cron-secret', autosync.read_secret('cron_secret'));
    end if;
    if api_key is null then
        if is_enough or not exists (select from autosync.stored_secrets() as s where s.name = 'gateway_key') then
            return headers;
        end if;
        api_key := autosync.read_secret('gateway_key');
    end if;
    return headers || case
        when api_key like 'sb\_%' then jsonb_build_object('apikey', api_key)
        else jsonb_build_object('Authorization', 'Bearer ' || api_key)
    end;
end
$$;

revoke all on function autosync.call_headers(text) from public;

comment on function autosync.call_headers(text) is 'the headers of a job''s call, the credential among them';
