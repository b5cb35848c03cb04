-- dispatch(job_name, force): one tick: decide, post what is to be called, and write both down; return the tick's id.
-- requires: 0005
-- The command of the cron jobs. It raises when a secret is missing, so that pg_cron records the run as failed. It waits for no
-- other session: outcomes are settled and history is deleted by keep_house(). With force it makes a call even when nothing is
-- due or the job is paused: setup and `jobs trigger` prove the chain so.
-- Three signatures without defaults, so that a function that somebody adds to this schema is never the better match.
create or replace function autosync.dispatch(job_name text, force boolean)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '2s'
as $$
declare
    job record;
    due integer;
    room integer;
    is_calling boolean := false;
    decision text;
    tick_id bigint;
begin
    -- one look at all of it: pg_cron opens a session for each tick, which has planned no query yet
    select j.*, exists (select from net.http_request_queue) as is_waiting
    into job
    from autosync.job as j
    where j.name = dispatch.job_name;
    if not found then
        raise exception 'autosync.job has no job named "%"', dispatch.job_name
            using errcode = 'no_data_found', hint = 'run: autosync-db setup';
    end if;
    if job.function is null and job.url is null then
        raise exception 'the job "%" makes no call', dispatch.job_name
            using errcode = 'object_not_in_prerequisite_state', hint = 'see: autosync-db jobs show';
    end if;

    -- counting stops where more would not change the number of requests
    due := case when job.drains is not null then autosync.due_schedules(job.batch_size * job.max_requests) else 0 end;
    -- a worker that stands still gets no more than it can send when it is back; mostly nothing waits, and who waits need not be asked
    if job.overlap = 'skip' then
        -- whoever repeats a call of the job right now has its row; it is not waited for
        perform from autosync.job as j where j.id = job.id for no key update skip locked;
        is_calling := not found;
    end if;
    room := job.max_requests - case when job.is_waiting then autosync.calls_queued(job.id, job.max_requests) else 0 end;
    decision := case
        when force then 'posted'
        when job.paused_at is not null or not job.enabled then 'paused'
        when job.drains is not null and job.invoke = 'when_due' and due = 0 then 'idle'
        when is_calling or job.overlap = 'skip' and autosync.calls_under_way(job.id) > 0 then 'overlapping'
        when room < 1 then 'backlogged'
        else 'posted'
    end;

    insert into autosync.tick (job_id, caller, due, decision, epoch)
    values (
        job.id,
        coalesce(nullif(current_setting('application_name'), ''), session_user),
        due,
        decision,
        autosync.begin_epoch()
    )
    returning id into tick_id;
    if decision = 'posted' then
        -- Looked at only now: the row of the tick has locked the job, which whoever silences a copy waits for. At both in one look:
        -- what was silent then, and is not a moment later, has its own project's secrets by now.
        if not force and exists (
            select
            from autosync.setting as s
            where s.name = 'binding' and (s.value ? 'proving' or s.value ->> 'inherited_by' <> s.value ->> 'project_ref')
        ) then
            perform autosync.check_binding();
            raise exception 'no call is made: that this copy has a project of its own now is not proven yet'
                using hint = 'finish it with: autosync-db setup';
        end if;
        perform autosync.post_calls(job.name, tick_id, greatest(1, least((due + job.batch_size - 1) / job.batch_size, room)), null);
    end if;
    return tick_id;
end
$$;

-- in PL/pgSQL, which a tick's new session needs anyway: to start a function of SQL takes it longer than to call this one
create or replace function autosync.dispatch(job_name text)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return autosync.dispatch(job_name, false);
end
$$;

-- the tick of the job that the guide makes
create or replace function autosync.dispatch()
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
begin
    return autosync.dispatch(cast('auto-sync-cron-job' as text), false);
end
$$;

revoke all on function autosync.dispatch(text, boolean) from public;
revoke all on function autosync.dispatch(text) from public;
revoke all on function autosync.dispatch() from public;

comment on function autosync.dispatch(text, boolean) is 'one tick of a job: post the call and keep its outcome';
comment on function autosync.dispatch(text) is 'the command of a cron job: one tick';
comment on function autosync.dispatch() is 'the command of the cron job auto-sync-cron-job: one tick';
