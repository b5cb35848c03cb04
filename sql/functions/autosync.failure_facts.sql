-- failure_facts(job_name, cause, ticks, call): what a message says of calls that fail; `call` is the newest of them, a row of the ledger.
-- requires: 0008
-- Status, the platform's code and its meaning are said; an answer's own words are not, they may be anything.
create or replace function autosync.failure_facts(job_name text, cause text, ticks integer, call jsonb)
returns jsonb
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select jsonb_build_object(
        'check', m.check_id,
        'root_cause', m.root_cause,
        'evidence', autosync.excerpt(format('%s%s at %s, %s in a row',
            concat_ws(' ', coalesce(call ->> 'status_code', replace(call ->> 'outcome', '_', ' ')),
                substring(call ->> 'error_code' from '^[A-Z][A-Z0-9_]{1,59}$')),
            coalesce(' (' || autosync.answer_meaning(cause, cast(call ->> 'status_code' as integer), call ->> 'error_code',
                case when call ->> 'status_code' is null then call ->> 'error_message' end, call ->> 'answered_by') || ')', ''),
            autosync.moment(cast(call ->> 'queued_at' as timestamptz)), ticks)),
        'fix', case
            when cause = 'key' and j.auth = 'secret' and j.secret_name <> 'service_role_key'
                then format('autosync-db secrets set %s --from-file PATH', j.secret_name)
            when j.function is null then format('autosync-db runs --job %s', j.name)
            when cause = 'key' and j.auth = 'none' then format('autosync-db verify --job %s', j.name)
            -- the platform deploys the functions of its own projects alone: elsewhere verify knows where they belong
            when k.cause = 'missing' and not exists (
                select from autosync.setting as s where s.name = 'binding' and s.value ->> 'project_ref' is not null
            ) then format('autosync-db verify --job %s', j.name)
            else m.fix
        end
    )
    from (values
        ('key', 'function_accepts_key', 'the function, or the gateway before it, refuses the stored credential',
            'autosync-db rotate --from-file PATH'),
        ('network', 'project_url_reachable', 'the network does not lead to the function', 'autosync-db setup --project-url URL'),
        ('missing', 'function_deployed', 'the function is not deployed', 'supabase functions deploy {function}'),
        ('gateway', 'function_reached', 'something before the function answers instead of it', 'autosync-db verify --job {job}'),
        ('page', 'function_reached', 'a web page answers instead of the function', 'autosync-db verify --job {job}'),
        ('slow', 'function_answers_in_time', 'the function does not answer in time', 'autosync-db runs --job {job}'),
        ('function', 'function_succeeds', 'the function fails', 'autosync-db runs --job {job}')
    ) as k (cause, check_id, root_cause, fix)
    join autosync.job as j on j.name = failure_facts.job_name
    cross join lateral (
        select k.check_id, k.root_cause,
            replace(replace(k.fix, '{job}', j.name), '{function}', coalesce(substring(j.function from '^[^/?]+'), '')) as fix
    ) as m
    where k.cause = failure_facts.cause
$$;

revoke all on function autosync.failure_facts(text, text, integer, jsonb) from public;

comment on function autosync.failure_facts(text, text, integer, jsonb) is 'what a message says of calls that fail';
