-- call_headers(job_name): the headers of a job's call, with the credential that its function knows; raises when that is missing.
-- requires: 0004
-- A cron secret has a header of its own. The gateway needs nothing for a function that is deployed without verify_jwt;
-- where it verifies, the public key in the secret gateway_key lets the call through to the function.
create or replace function autosync.call_headers(job_name text)
returns jsonb
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
declare
    headers jsonb := jsonb_build_object('Content-Type', 'application/json');
    api_key text;
begin
    if autosync.function_auth(call_headers.job_name) = 'cron_secret' then
        headers := headers || jsonb_build_object('x-autosync-cron-secret', autosync.read_secret('cron_secret'));
        if not exists (select from autosync.stored_secrets() as s where s.name = 'gateway_key') then
            return headers;
        end if;
        api_key := autosync.read_secret('gateway_key');
    else
        api_key := autosync.read_secret('service_role_key');
    end if;
    return headers || case
        when api_key like 'sb\_%' then jsonb_build_object('apikey', api_key)
        else jsonb_build_object('Authorization', 'Bearer ' || api_key)
    end;
end
$$;

revoke all on function autosync.call_headers(text) from public;

comment on function autosync.call_headers(text) is 'the headers of a job''s call, the credential among them';
