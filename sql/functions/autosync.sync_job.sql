-- sync_job(job_name): make cron.job say what autosync.job says: one job, right schedule and command, active unless paused.
-- requires: 0004
-- Returns what it did: created, changed or unchanged. Called by migrate, setup, job and repair.
create or replace function autosync.sync_job(job_name text default 'auto-sync-cron-job')
returns text
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    wanted autosync.job;
    wanted_command text;
    present record;
    made bigint;
    other_owner text;
    extra bigint;
    result text := 'unchanged';
    house_schedule text;
    is_on boolean;
    is_elsewhere boolean;
    taken_hint text;
begin
    -- Whoever changes a job waits here for whoever changes one: what is decided below stays true until it is done. First the row of
    -- housekeeping, whose schedule follows from all jobs, so that no two wait for each other.
    perform from autosync.job as j where j.name = 'autosync-keep-house' for no key update;
    select j.* into strict wanted from autosync.job as j where j.name = sync_job.job_name for no key update;
    wanted_command := autosync.job_command(wanted.name);
    if wanted.watch then
        return result;
    end if;
    is_on := wanted.enabled and wanted.paused_at is null;
    if wanted.sql is null then
        house_schedule := autosync.house_schedule();
        update autosync.job as j set schedule = house_schedule, updated_at = clock_timestamp()
        where j.name = 'autosync-keep-house' and j.schedule <> house_schedule;
        if found then
            perform autosync.sync_job('autosync-keep-house');
        end if;
    end if;

    select c.username into other_owner
    from cron.job as c
    where c.jobname = wanted.name and c.username <> current_user
    order by c.jobid
    limit 1;
    if found then
        raise exception 'the cron job "%" belongs to the role "%", not to "%"', wanted.name, other_owner, current_user
            using errcode = 'insufficient_privilege',
            hint = 'a second job of that name would double every call; unschedule it as that role first';
    end if;

    taken_hint := case
        when wanted.name = 'autosync-keep-house' then
            'give yours another name: select cron.schedule(''my-keep-house'', c.schedule, c.command), cron.unschedule(c.jobid)'
            || ' from cron.job as c where c.jobname = ''autosync-keep-house'''
        else pg_catalog.format('take it over with: autosync-db jobs adopt %s; or give yours another name', wanted.name)
    end;
    -- what is somebody else's is not overwritten: a command that was neither made by us nor taken over
    if exists (
        select
        from cron.job as c
        where c.jobname = wanted.name
            and c.command <> wanted_command
            and wanted.scheduled_command is null
            and c.command not like 'select autosync.dispatch(%'
            and not exists (select from autosync.adopted as a where a.object = 'cron job ' || wanted.name)
    ) then
        raise exception 'there is a cron job "%" already, which autosync-db did not make', wanted.name
            using errcode = 'AS010',
            hint = taken_hint;
    end if;

    -- the two-argument form of cron.schedule() leaves unnamed twins behind
    for extra in
        select c.jobid
        from cron.job as c
        where c.username = current_user
            and wanted.sql is null
            and c.command = wanted_command
            and c.jobname is distinct from wanted.name
            and (c.jobname is null or not exists (select from autosync.job as j where j.name = c.jobname))
    loop
        perform cron.unschedule(extra);
        result := 'changed';
    end loop;

    select c.jobid, c.schedule, c.command, c.active, c.database, c.nodeport into present
    from cron.job as c
    where c.jobname = wanted.name and c.username = current_user;
    is_elsewhere := present.database <> current_database() or present.nodeport <> current_setting('port')::integer;
    if present.jobid is null then
        made := cron.schedule(wanted.name, wanted.schedule, wanted_command);
        -- an upsert takes the job of somebody who made one of this name a moment ago: a row that was there has an xmax
        if exists (select from cron.job as c where c.jobid = made and cast(c.xmax as text) <> '0') then
            raise exception 'there is a cron job "%" already, which autosync-db did not make', wanted.name
                using errcode = 'AS010',
                hint = taken_hint;
        end if;
        result := 'created';
    elsif present.schedule <> wanted.schedule or present.command <> wanted_command or is_elsewhere then
        if is_elsewhere then
            -- an upsert keeps host and port, and before pg_cron 1.6.3 the database too
            perform cron.unschedule(present.jobid);
        end if;
        perform cron.schedule(wanted.name, wanted.schedule, wanted_command);
        result := 'changed';
    end if;

    -- scheduling again does not reactivate
    select c.jobid, c.active into present
    from cron.job as c
    where c.jobname = wanted.name and c.username = current_user;
    if present.active is distinct from is_on then
        perform cron.alter_job(job_id := present.jobid, active := is_on);
        if result = 'unchanged' then
            result := 'changed';
        end if;
    end if;
    if result <> 'unchanged' then
        -- no tick can be missed before this moment (job_ticks_on_time)
        update autosync.job as j set updated_at = clock_timestamp() where j.name = wanted.name;
    end if;
    update autosync.job as j set scheduled_command = wanted_command
    where j.name = wanted.name and j.scheduled_command is distinct from wanted_command;
    return result;
end
$$;

revoke all on function autosync.sync_job(text) from public;

comment on function autosync.sync_job(text) is 'bring one cron job to what autosync.job says';
