-- classify(outcome, status_code, error_code, body): which part of the chain an outcome speaks of.
-- requires: 0005
-- ok, pending, key, missing, function, slow, network or lost. The platform's own code (sb-error-code) decides where it is
-- there (https://supabase.com/docs/guides/functions/error-codes); local and self-hosted gateways send none, so the body does.
-- 520 to 530 without it are a content network's own words for a server that it cannot reach.
create or replace function autosync.classify(outcome text, status_code integer, error_code text, body text)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
as $$
    select case
        when outcome in ('pending', 'lost') then outcome
        -- it works on, and has not said yet how that went
        when outcome = 'accepted' then 'pending'
        when outcome in ('failed', 'unreadable') then 'function'
        when outcome = 'timed_out' then 'slow'
        when outcome = 'network_error' then 'network'
        -- a 200 that says it failed: the body may be cut, so it is not parsed
        when outcome = 'ok' then case when body ~ '^\s*\{\s*"ok"\s*:\s*false\M' then 'function' else 'ok' end
        when error_code like 'UNAUTHORIZED%' or status_code in (401, 403) then 'key'
        when error_code in ('NOT_FOUND', 'NOT_FOUND_FUNCTION_BLOB') then 'missing'
        when status_code = 404 and error_code is null and body ~* 'function.*not found' then 'missing'
        -- what a self-hosted edge runtime says of an unknown function
        when status_code = 500 and error_code is null and body ~* 'invalidworkercreation|entrypoint' then 'missing'
        when error_code = 'IDLE_TIMEOUT' or status_code = 504 then 'slow'
        when error_code is null and status_code between 520 and 530 then 'network'
        else 'function'
    end
$$;

revoke all on function autosync.classify(text, integer, text, text) from public;

comment on function autosync.classify(text, integer, text, text) is 'which part of the chain an outcome speaks of';
