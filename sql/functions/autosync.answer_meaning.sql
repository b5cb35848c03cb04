-- answer_meaning(cause, status_code, error_code, error_message, answered_by): what a failed call's answer means, in a few plain words.
-- requires: 0005
-- NULL where the code or the text says it itself. The codes are the platform's (https://supabase.com/docs/guides/functions/error-codes),
-- the texts libcurl's, which differ by version.
create or replace function autosync.answer_meaning(
    cause text, status_code integer, error_code text, error_message text, answered_by text
)
returns text
language sql
immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
    select case
        when cause = 'ok' then null
        when cause = 'page' then case when answered_by = 'web page' then 'a web page answered, not the function'
            else format('a host of web pages answered (%s), not the function', answered_by) end
        when cause = 'gateway' and status_code = 540 then 'the project is paused'
        when cause = 'gateway' and status_code = 407 then 'a proxy on the way wants a credential of its own, the function never ran'
        when cause = 'gateway' and autosync.answerer_kind(answered_by) = 'firewall'
            then format('the content network or firewall before it answered (%s), the function never ran', answered_by)
        when cause = 'gateway' and status_code = 404 then format('the gateway (%s) has no route to functions at that address', answered_by)
        when cause = 'gateway' and answered_by = 'web page' then 'the error page of a gateway or firewall answered, the function never ran'
        when cause = 'gateway' then format('the gateway%s answered, the function never ran', coalesce(' (' || answered_by || ')', ''))
        when cause = 'slow' and answered_by is not null and answered_by not in ('platform', 'function')
            then format('the gateway (%s) waited in vain', answered_by)
        when error_code = 'REDIRECTED_WITH_KEY' then 'another host, and the key went there with the call'
        when error_code = 'REDIRECTED_ELSEWHERE' then 'another host; a key in the header Authorization does not go along'
        when error_code = 'REDIRECTED' then 'it arrives there as a GET without its body, unless the answer was a 307 or 308'
        when error_message like 'the answer cannot be read%' then 'it holds what no database can keep'
        when error_message like '%the setting expect%' then 'not what the job''s `expect` says'
        when error_message like '%did not report within%' then 'it may still be at work'
        when cause = 'network' and error_message ~* 'resolve host' then 'the host name has no address'
        when cause = 'slow' and error_message ~ 'handshake time: 0\.?0* ms, HTTP Request/Response time: 0\.?0* ms'
            then 'over a connection that was open already, so the function took that time'
        -- what follows the lookup takes no time then, or less than none
        when cause = 'network' and 2 * cast(substring(error_message from 'DNS time: ([0-9]+[.]?[0-9]*) ms') as numeric)
                > cast(substring(error_message from 'Total time: ([0-9]+[.]?[0-9]*) ms') as numeric)
            then 'no name server answered in time'
        when cause = 'network' and error_message ~* '^timeout' then 'nobody completed the connection in time, as behind a firewall'
        when cause = 'network' and error_message ~* 'connect to server|failed to connect|connection refused' then 'nobody listens there'
        when cause = 'network' and error_message ~* 'SSL CA cert' then 'the database''s server cannot read its list of certificate authorities'
        when cause = 'network' and error_message ~* 'certificate|remote key' then 'the certificate is not trusted'
        when error_message ~* 'SSL|TLS' and cause = 'network' then 'the port does not speak TLS as it should'
        when cause = 'network' and error_message ~* 'returned nothing|empty reply' then 'the connection was closed without an answer'
        when cause = 'network' and error_message ~* 'receiving data|sending data|partial file|framing layer|weird server reply|recv failure|send failure'
            then 'the connection was broken off'
        when cause = 'network' and status_code between 300 and 399 then 'a redirect that leads to no address'
        when cause = 'network' and status_code = 400 then 'the port speaks TLS, so the address has to begin with https://'
        when cause = 'network' and status_code between 520 and 530 then 'the network before the server does not reach it'
        when error_code = 'BOOT_ERROR' or error_code like 'LOAD_FUNCTION%' then 'the function does not start'
        when error_code in ('WORKER_LIMIT', 'WORKER_RESOURCE_LIMIT') or status_code = 546
            then 'it used up its processor time, memory or duration'
        when error_code in ('EDGE_FUNCTION_ERROR', 'WORKER_ERROR') then 'the function threw an error'
        when error_code = 'INVALID_RESPONSE_STATUS_CODE' then 'the function answered with a status that is none'
        when error_code = 'RATE_LIMIT_EXCEEDED' then 'functions call each other too often'
        when status_code = 429 then 'the function, or somebody whom it calls, was called too often'
        when error_code = 'IDLE_TIMEOUT' or status_code in (504, 524) then 'the platform waited in vain'
        when status_code = 402 then 'the organization is over its quota'
        when status_code = 405 then 'the function takes no call by this method'
        when cause = 'key' and error_code is null then case
            when answered_by = 'platform' then 'by the platform''s gateway'
            when answered_by = 'function' or answered_by is null then 'by the function itself, or a gateway of one''s own'
            else format('by the gateway, %s', answered_by) end
        when cause = 'function' and status_code between 200 and 299 then 'it says itself that it failed'
    end
$$;

revoke all on function autosync.answer_meaning(text, integer, text, text, text) from public;

comment on function autosync.answer_meaning(text, integer, text, text, text) is 'what a failed call''s answer means';
