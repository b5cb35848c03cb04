-- classify(outcome, status_code, error_code, body, answered_by): which part of the chain an outcome speaks of.
-- requires: 0005
-- ok, pending, key, missing, gateway, page, function, slow, network or lost. The platform's own code (sb-error-code) decides where
-- it is there (https://supabase.com/docs/guides/functions/error-codes); else who answered and the answer's own words do.
-- 520 to 530 without a code are a content network's own words for a server that it cannot reach, but for 524: one that does not
-- answer. 540 is a paused project, 407 a proxy's. A key is at fault only where the answer does not speak of somebody else's.
-- In PL/pgSQL, which prepares the long expression once and not at each call.
create or replace function autosync.classify(outcome text, status_code integer, error_code text, body text, answered_by text)
returns text
language plpgsql
immutable
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
begin
    return case
        when outcome in ('pending', 'lost') then outcome
        -- it works on, and has not said yet how that went
        when outcome = 'accepted' then 'pending'
        when outcome = 'ok' then 'ok'
        when outcome in ('failed', 'unreadable') then case autosync.answerer_kind(answered_by)
            when 'pages' then 'page'
            when 'firewall' then 'gateway'
            when 'gateway' then 'gateway'
            else 'function'
        end
        when outcome = 'timed_out' then 'slow'
        when outcome = 'network_error' then 'network'
        when error_code like 'UNAUTHORIZED%' then 'key'
        when error_code in ('NOT_FOUND', 'NOT_FOUND_FUNCTION_BLOB') then 'missing'
        when error_code = 'IDLE_TIMEOUT' then 'slow'
        when error_code is null and status_code = 524 then 'slow'
        when error_code is null and status_code between 520 and 530 then 'network'
        -- what a port of TLS says to a call without it
        when status_code = 400 and body ~* 'plain http request was sent to https port|client sent an http request to an https server|speaking plain http to an ssl-enabled|combination of host and port requires tls'
            then 'network'
        when status_code between 300 and 399 then 'network'
        when error_code is null and status_code in (407, 540) then 'gateway'
        when answered_by <> 'web page' and autosync.answerer_kind(answered_by) = 'pages' then 'page'
        when autosync.answerer_kind(answered_by) = 'firewall' then case status_code when 504 then 'slow' else 'gateway' end
        when autosync.answerer_kind(answered_by) = 'gateway' then case
            when status_code = 504 then 'slow'
            when answered_by = 'object storage' or body ~* 'missing authentication token' then 'gateway'
            when status_code in (401, 403) and body ~* 'api ?key|credential|jwt|token|unauthorized|authorization' then 'key'
            else 'gateway'
        end
        -- a page that speaks of no key is that of a rule before the function
        when answered_by = 'web page' and status_code = 403 and body !~* 'api ?key|credential|jwt|token|unauthorized|authorization' then 'gateway'
        when status_code in (401, 403) then case
            -- the words of somebody whom the function called, OAuth's (RFC 6749), or of a rule that no key changes
            when (body ~* '\m(stripe|openai|anthropic|google|gmail|github|gitlab|slack|shopify|twilio|sendgrid|resend|postmark|mailgun|mailchimp|klaviyo|brevo|hubspot|zendesk|intercom|notion|airtable|salesforce|zoho|pipedrive|dropbox|facebook|instagram|linkedin|tiktok|youtube|spotify|strava|fitbit|garmin|withings|microsoft|outlook|atlassian|jira|asana|xero|quickbooks|paypal|plaid|mollie|adyen|klarna|woocommerce|wordpress|telegram|whatsapp|discord|elevenlabs|deepgram|mistral|aws|s3|azure|upstream|remote|third[- ]party|provider|partner|vendor|external|webhook|smtp)\M(?!-(sync|cron|job|import|export|fetch|update|worker|report|feed))|\m(invalid_grant|invalid_client|unauthorized_client|invalid_scope|unsupported_grant_type)\M|\moauth|\mrefresh[ _]?token|authorization grant|invalid login credentials|security token included|"name" *: *"[a-z]+_api_key"|"authentication_error".{0,60}invalid x-api-key'
                    -- a name that is in no list
                    or body ~ '(^|["({]) *(?!\w*(Error|Exception)\M|(Unauthori[sz]ed|Forbidden|Authentication|Authorization|Auth|Denied|Invalid|Missing|Supabase|Jwt|Http|Message|Reason|Details?|Refused|Failed|Failure|Access|Status|Key|Token|Gateway|Function|Worker|Server|Client|Caller|Request|Response|Sync|Cron|Job|Api|Hint|Note|Warning)\M)[A-Z][a-z]\w+: .{0,40}\m[Aa][Pp][Ii][ _-]?[Kk]ey\M'
                    or body ~ '\m(?!(Invalid|Missing|Expired|Unknown|Wrong|Bad|Malformed|Revoked|Incorrect|Disabled|Empty|Valid|Required|Expected|Provided|Unauthori[sz]ed|Forbidden|Denied|Supabase|Legacy|Service|Anon|Secret|Publishable|Project|Function|The|Your|This|No|An|Jwt|Bearer|Authorization|Authentication|Please|Check|Use|Set|Send|Pass|Provide|Cron|Internal|Admin|Master|Shared|Private|Public|User|Client|Server|Un[a-z]+|[A-Z][a-z]+ed)\M)[A-Z][a-z]+ (access|API) (token|key)\M')
                and body !~* 'x-autosync-cron-secret|service[_ -]?role|legacy api keys|@supabase/server'
                then 'function'
            when body ~* 'row[- ]level security|permission denied for|\mcsrf\M|\m(ip|country|region|origin)\M.{0,40}\m(not allowed|blocked|denied|forbidden|allow[- _]?list|white[- _]?list)\M|quota|plan limit|rate limit|too many requests'
                then 'function'
            else 'key'
        end
        when status_code = 404 and error_code is null and body ~* '(^|": *") *(requested )?(edge )?function( was)? not found[.!]? *("|$)' then 'missing'
        -- what a self-hosted edge runtime says where there is no file of the function; one that does not start says something else
        when status_code = 500 and error_code is null and body ~* 'could not find an appropriate entrypoint|failed to determine entrypoint' then 'missing'
        -- what stands at a wrong address has no errors of its own: a gateway before the function has, or the framework that it runs in
        when answered_by = 'web page' then case when status_code = 504 then 'slow' when status_code in (429, 502, 503) then 'gateway'
            when status_code >= 500 then 'function' else 'page' end
        when status_code = 504 then 'slow'
        -- a gateway that says nothing of itself
        when error_code is null and status_code in (502, 503) and coalesce(btrim(body), '') !~ '^[{\[]' then 'gateway'
        else 'function'
    end;
end
$$;

revoke all on function autosync.classify(text, integer, text, text, text) from public;

comment on function autosync.classify(text, integer, text, text, text) is 'which part of the chain an outcome speaks of';
