-- needed_secrets(job_name): the names of the secrets without which the job makes no call.
-- requires: 0004
create or replace function autosync.needed_secrets(job_name text)
returns text[]
language sql
stable
set search_path = pg_catalog, pg_temp
as $$
    select array[
        'project_url',
        case autosync.function_auth(needed_secrets.job_name) when 'cron_secret' then 'cron_secret' else 'service_role_key' end
    ]
$$;

revoke all on function autosync.needed_secrets(text) from public;

comment on function autosync.needed_secrets(text) is 'the secrets without which the job makes no call';
