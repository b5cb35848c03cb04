-- retry_calls(max_calls): repeat the calls whose time for it has come, under the same Idempotency-Key; return how many.
-- requires: 0005
-- settle() decides what is repeated and when. A job that was paused, or that is not to be called again, drops what was planned.
-- A worker that stands still gets one call more of a job than a tick would give it (a tick of this moment may have just posted): the
-- rest is repeated when it is back.
create or replace function autosync.retry_calls(max_calls integer)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    full_jobs integer[] := '{}';
    repeated integer := 0;
begin
    if exists (select from net.http_request_queue) then
        full_jobs := array(
            select j.id
            from autosync.job as j
            where j.retry_attempts > 1 and autosync.calls_queued(j.id, j.max_requests + 1) > j.max_requests
        );
    end if;
    for item in
        select i.id, i.job_id, j.name, j.overlap, j.max_requests, j.name is not null and j.enabled and j.paused_at is null and i.attempt < j.retry_attempts as wanted
        from autosync.invocation as i
        left join autosync.job as j on j.id = i.job_id
        where i.retry_at <= clock_timestamp() and i.job_id <> all (full_jobs)
            -- a silent copy keeps them: once it has a project of its own, only the call that proves it is made until it is proven
            and not exists (
                select
                from autosync.setting as s
                where s.name = 'binding' and (s.value ? 'proving' or s.value ->> 'inherited_by' <> s.value ->> 'project_ref')
            )
        order by i.retry_at
        limit retry_calls.max_calls
        for no key update of i skip locked
    loop
        -- a tick that begins now finds the row locked, and calls nobody; a call that is not repeated now is looked at again soon
        if item.wanted and item.overlap = 'skip' then
            perform from autosync.job as j where j.id = item.job_id for no key update skip locked;
            continue when not found;
            continue when autosync.calls_under_way(item.job_id) > 0;
        end if;
        continue when item.wanted and autosync.calls_queued(item.job_id, item.max_requests + 1) > item.max_requests;
        begin
            update autosync.invocation as i set retry_at = null where i.id = item.id;
            if item.wanted then
                repeated := repeated + autosync.post_calls(item.name, null, 1, item.id);
            end if;
        exception
            when others then
                -- a missing secret of one job must not keep another's calls from being repeated
                raise warning 'could not repeat a call of the job "%": %', item.name, sqlerrm;
        end;
    end loop;
    return repeated;
end
$$;

revoke all on function autosync.retry_calls(integer) from public;

comment on function autosync.retry_calls(integer) is 'repeat the calls whose time has come';
