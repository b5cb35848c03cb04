-- dispatch(job_name, force): one tick: settle earlier requests, post this tick's, and write both down; return the tick's id.
-- requires: 0005
-- The command of the cron job. It raises when a secret is missing, so that pg_cron records the run as failed.
-- With force it makes a call even when nothing is due or the job is paused: setup and `job trigger` prove the chain so.
create or replace function autosync.dispatch(job_name text default 'auto-sync-cron-job', force boolean default false)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    job autosync.job;
    project_url text;
    call_headers jsonb;
    is_checked boolean;
    epoch timestamptz := autosync.server_epoch();
    due integer;
    requests integer;
    tick_id bigint;
    request_id bigint;
begin
    select j.* into job from autosync.job as j where j.name = dispatch.job_name;
    if not found then
        raise exception 'autosync.job has no job named "%"', dispatch.job_name
            using errcode = 'no_data_found', hint = 'run: autosync-db setup';
    end if;

    perform autosync.settle();
    begin
        perform autosync.prune(job.name);
    exception
        when others then
            -- housekeeping must not stop the calls; verify sees what then grows
            raise warning 'could not prune the history of job "%": %', job.name, sqlerrm;
    end;
    if job.paused_at is null or force then
        -- one statement, so one snapshot: no credential goes to an address that it was not stored with
        select autosync.read_secret('project_url'), autosync.call_headers(job.name), autosync.check_binding() is null
        into project_url, call_headers, is_checked;
    end if;

    -- Counting stops where more would not change the number of requests. What can be claimed is at the front of
    -- auto_sync_schedules_claimable_idx; read in its order without a condition on time, whatever the statistics say,
    -- at most so many rows are touched, however many schedules are claimed or lie in the future.
    select count(*) into due
    from (
        select s.next_run_at, greatest(s.next_run_at, s.claim_expires_at) as claimable_at
        from public.auto_sync_schedules as s
        where s.enabled
        order by greatest(s.next_run_at, s.claim_expires_at)
        limit job.batch_size * job.max_requests
    ) as front
    where front.claimable_at <= now() and front.next_run_at is not null;

    requests := case
        when job.paused_at is not null and not force then 0
        when job.invoke = 'when_due' and due = 0 and not force then 0
        else greatest(1, ceil(due::numeric / job.batch_size))
    end;

    insert into autosync.tick (job_name, caller, due, decision, server_epoch)
    values (
        job.name,
        coalesce(nullif(current_setting('application_name'), ''), session_user),
        due,
        case when requests > 0 then 'posted' when job.paused_at is not null then 'paused' else 'idle' end,
        epoch
    )
    returning id into tick_id;
    if requests = 0 then
        return tick_id;
    end if;

    for i in 1..requests loop
        -- every argument by name: positions and defaults differ between versions of pg_net
        request_id := net.http_post(
            url := rtrim(project_url, '/') || '/functions/v1/' || job.function,
            body := jsonb_build_object('job', job.name, 'tick', tick_id, 'batch_size', job.batch_size),
            params := '{}'::jsonb,
            headers := call_headers,
            timeout_milliseconds := job.timeout_milliseconds
        );
        if request_id is null then
            raise exception 'pg_net did not accept the request of job "%"', job.name
                using hint = 'run: autosync-db verify';
        end if;
        insert into autosync.invocation (tick_id, job_name, request_id, timeout_milliseconds, server_epoch)
        values (tick_id, job.name, request_id, job.timeout_milliseconds, epoch);
    end loop;
    return tick_id;
end
$$;

revoke all on function autosync.dispatch(text, boolean) from public;

comment on function autosync.dispatch(text, boolean) is 'the command of the cron job: post the call and keep its outcome';
