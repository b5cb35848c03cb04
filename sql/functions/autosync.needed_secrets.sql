-- needed_secrets(job_name): the names of the secrets without which the job makes no call; none for a job that makes none.
-- requires: 0004
create or replace function autosync.needed_secrets(job_name text)
returns text[]
language plpgsql
stable
set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(
        (
            select array_remove(array[
                case when j.function is not null then 'project_url' end,
                case
                    when j.function is null and j.url is null then null
                    else case autosync.function_auth(j.name)
                        when 'cron_secret' then 'cron_secret'
                        when 'secret' then j.secret_name
                        when 'service_key' then 'service_role_key'
                    end
                end
            ], null)
            from autosync.job as j
            where j.name = needed_secrets.job_name
        ),
        array['project_url', 'service_role_key']
    );
end
$$;

revoke all on function autosync.needed_secrets(text) from public;

comment on function autosync.needed_secrets(text) is 'the secrets without which the job makes no call';
