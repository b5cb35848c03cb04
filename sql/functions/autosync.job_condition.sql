-- job_condition(job_name): what is wrong with a job now, by the evidence of the database alone, and when it last did well.
-- requires: 0008
-- failing: how many ticks in a row failed (`same`: for the same cause); a missing secret, a missed tick and overdue schedules count at
-- once. facts: the check that speaks of it, root cause, first line of evidence and the command that fixes it; null where alert_state has
-- them already, as housekeeping asks each minute about jobs that fail for days. bad_at: when the evidence is from. ticked_at, ran_at and
-- good_at: its newest tick, run that succeeded, and good answer, the latter two null where a later one failed; proven_at is good_at where
-- the answer proves it. An answer's body is never repeated here, and texts are masked.
create or replace function autosync.job_condition(job_name text)
returns table (
    state text,
    cause text,
    failing integer,
    same integer,
    facts jsonb,
    bad_at timestamptz,
    ticked_at timestamptz,
    ran_at timestamptz,
    good_at timestamptz,
    proven_at timestamptz
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
-- asked for each job: to plan the queries each time took twice as long as to run them
set plan_cache_mode = force_generic_plan
as $$
declare
    job autosync.job;
    lacking text;
    item record;
    cron_job record;
    noted record;
    run_text text;
    run_since timestamptz;
    own_run record;
    history record;
    expected timestamptz;
    failed_call bigint;
    call_words jsonb;
    call_at timestamptz;
    call_cause text := '';
    call_ticks integer := 0;
    same_ticks integer := 0;
    run_count integer := 0;
    run_at timestamptz;
    overdue record;
    most_calls integer;
begin
    select j.* into job from autosync.job as j where j.name = job_condition.job_name;
    select c.jobid, c.schedule, c.active, c.username into cron_job
    from cron.job as c
    where c.jobname = job.name
    order by c.jobid
    limit 1;
    select s.state, s.cause into noted from autosync.alert_state as s where s.job_id = job.id;

    select d.* into own_run
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 1000) as d
    where d.jobid = cron_job.jobid and d.start_time is not null
    order by d.runid desc
    limit 1;
    if own_run.status = 'succeeded' and coalesce(own_run.return_message, '') not in ('server restarted', 'job canceled') then
        ran_at := coalesce(own_run.end_time, own_run.start_time);
    elsif own_run.runid is not null then
        -- newest first; that a restart or somebody ended one says nothing
        for item in
            select d.status, d.return_message, coalesce(d.end_time, d.start_time, clock_timestamp()) as ended_at
            from (select n.* from cron.job_run_details as n order by n.runid desc limit 1000) as d
            where d.jobid = cron_job.jobid
                and d.status in ('succeeded', 'failed')
                and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
            order by d.runid desc
            limit 100
        loop
            if item.status = 'succeeded' then
                ran_at := case when run_count = 0 then item.ended_at end;
                exit;
            end if;
            run_count := run_count + 1;
            run_at := coalesce(run_at, item.ended_at);
            run_since := item.ended_at;
            run_text := coalesce(run_text, item.return_message, 'no message');
        end loop;
    end if;
    select max(t.ticked_at) into ticked_at
    -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
    from (select k.ticked_at from autosync.tick as k where k.job_id between job.id and job.id order by k.job_id desc, k.id desc limit 1) as t;
    -- a tick that was triggered since then shows that the error in it is gone
    if ticked_at > run_at and run_text like 'ERROR:%' then
        run_count := 0;
    end if;
    ticked_at := greatest(ticked_at, own_run.start_time);

    -- as many as decide
    most_calls := 20 + job.max_requests * coalesce(
        (select cast(s.value ->> 'after' as integer) from autosync.setting as s where s.name = 'alerts'), 2);
    -- the calls, by tick, newest first; one that is repeated counts when its last attempt has ended
    for item in
        with newest as materialized (
            select i.* from autosync.invocation as i where i.job_id between job.id and job.id order by i.job_id desc, i.id desc limit most_calls
        ),
        call as (
            select distinct on (n.idempotency_key) n.*, max(n.tick_id) over w as of_tick, min(n.id) over w as first_id
            from newest as n
            window w as (partition by n.idempotency_key)
            order by n.idempotency_key, n.id desc
        ),
        judged as (
            select c.*, c.outcome in ('pending', 'accepted') or c.retry_at is not null as is_open
            from call as c
            where c.outcome <> 'lost'
        )
        select bool_or(j.is_open) as is_open,
            bool_or(not j.is_open and j.outcome <> 'ok') as failed,
            bool_and(j.outcome = 'ok' and j.proof in ('expected', 'stated')) as is_proven,
            max(j.settled_at) as ended_at,
            max(j.id) filter (where not j.is_open and j.outcome <> 'ok') as failed_call,
            (array_agg(jsonb_build_array(j.outcome, j.status_code, j.error_code, j.body_excerpt, j.answered_by) order by j.id desc)
                filter (where not j.is_open and j.outcome <> 'ok'))[1] as words
        from judged as j
        group by coalesce(j.of_tick, -j.first_id)
        order by min(j.first_id) desc
        limit 100
    loop
        if item.failed then
            call_ticks := call_ticks + 1;
            if call_ticks = 1 then
                failed_call := item.failed_call;
                call_words := item.words;
                call_at := item.ended_at;
                call_cause := autosync.classify(
                    call_words ->> 0, cast(call_words ->> 1 as integer), call_words ->> 2, call_words ->> 3, call_words ->> 4);
            end if;
            -- the same words have the same cause, and to judge them takes longer than all else here
            if same_ticks = call_ticks - 1 and (item.words = call_words or call_cause = autosync.classify(
                item.words ->> 0, cast(item.words ->> 1 as integer), item.words ->> 2, item.words ->> 3, item.words ->> 4))
            then
                same_ticks := same_ticks + 1;
            end if;
        elsif not item.is_open then
            if call_ticks = 0 then
                good_at := item.ended_at;
                proven_at := case when item.is_proven then item.ended_at end;
            end if;
            exit;
        end if;
    end loop;
    if job.sql is not null then
        good_at := ran_at;
        proven_at := ran_at;
    end if;

    begin
        select string_agg(n.name, ', ' order by n.name) into lacking
        from unnest(autosync.needed_secrets(job.name)) as n (name)
        where n.name <> all (array(
            select s.name from autosync.stored_secrets() as s where btrim(s.secret, E' \t\r\n') <> ''
        ));
    exception
        -- a vault that cannot be read is named by the runs that fail
        when others then
            lacking := null;
    end;
    expected := case
        when cron_job.jobid is null then case when not job.watch then clock_timestamp() end
        when not cron_job.active then case when not job.watch then clock_timestamp() end
        -- the tick that is asked for below lies before it
        when ticked_at > clock_timestamp() - interval '3 minutes' then null
        else autosync.tick_expected(cron_job.schedule, clock_timestamp() - interval '3 minutes')
    end;
    -- what lies before a start of the server, a change of the job or the history that was read cannot be missed
    if cron_job.active and (
        expected <= greatest(pg_postmaster_start_time(), job.created_at, job.updated_at)
        or ticked_at >= expected - interval '1 second'
        or expected <= autosync.server_epoch()
    ) then
        expected := null;
    end if;
    if cron_job.active and expected is not null and (job.sql is not null or job.watch) then
        select min(d.start_time) as oldest, max(d.start_time) as newest into history
        from (select n.start_time from cron.job_run_details as n order by n.runid desc limit 1000) as d;
        if history.newest is null or history.newest < expected or history.oldest > expected then
            expected := null;
        end if;
    end if;

    if lacking is not null then
        state := 'missing_secret';
        cause := lacking;
        failing := null;
        bad_at := clock_timestamp();
        facts := jsonb_build_object(
            'check', 'secrets_present',
            'root_cause', 'a secret without which no call is made is missing',
            'evidence', format('%s: missing or blank', lacking),
            'fix', case
                when lacking = 'project_url' then 'autosync-db repair secrets_present'
                when lacking = 'cron_secret' then 'autosync-db setup'
                when lacking ~ 'project_url|service_role_key' then 'autosync-db setup --service-role-key-file PATH'
                else format('autosync-db secrets set %s --from-file PATH', lacking)
            end);
    elsif run_count > 0 then
        state := 'runs_failing';
        cause := '';
        failing := run_count;
        bad_at := run_at;
        facts := case when noted.state is distinct from 'runs_failing' then jsonb_build_object(
            'check', 'job_runs_succeed',
            'root_cause', 'the statement of the cron job fails',
            'evidence', format('%s run%s in a row failed since %s: %s', run_count, case run_count when 1 then '' else 's' end,
                autosync.moment(run_since), left(autosync.excerpt(split_part(regexp_replace(run_text, '^ERROR: +', ''), E'\n', 1)), 200)),
            'fix', format('autosync-db verify --job %s', job.name)) end;
    elsif expected is not null then
        state := 'ticks_missed';
        cause := '';
        failing := null;
        bad_at := clock_timestamp();
        facts := case
            when cron_job.jobid is null then jsonb_build_object(
                'check', 'job_scheduled', 'root_cause', 'the cron job does not exist',
                'evidence', format('cron.job has no job named %s', job.name), 'fix', 'autosync-db repair job_scheduled')
            when not cron_job.active then jsonb_build_object(
                'check', 'job_active', 'root_cause', 'the cron job is inactive, and nobody paused it here',
                'evidence', format('cron.job %s is not active', cron_job.jobid), 'fix', 'autosync-db repair job_active')
            else jsonb_build_object(
                'check', 'job_ticks_on_time', 'root_cause', 'pg_cron did not start the job when its schedule said so',
                'evidence', format('by %s it should have ticked at %s; its last tick was %s', cron_job.schedule,
                    autosync.moment(expected), coalesce('at ' || autosync.moment(ticked_at), 'never')),
                'fix', format('autosync-db verify --job %s --wait 10m', job.name))
        end;
    elsif call_ticks > 0 then
        state := 'calls_failing';
        cause := call_cause;
        failing := call_ticks;
        bad_at := call_at;
        if (noted.state, noted.cause) is distinct from ('calls_failing', call_cause) then
            select autosync.failure_facts(job.name, call_cause, call_ticks, to_jsonb(i)) into facts
            from autosync.invocation as i
            where i.id = failed_call;
        end if;
    elsif job.drains is not null then
        select o.* into overdue from autosync.overdue_schedules(job.name) as o;
        if overdue.schedules > 0 then
            state := 'schedules_overdue';
            cause := '';
            failing := null;
            bad_at := clock_timestamp();
            facts := jsonb_build_object(
                'check', 'schedules_not_overdue', 'root_cause', 'schedules are due and the function leaves them',
                'evidence', format('%s schedules are due, the longest since %s', overdue.schedules, autosync.moment(overdue.oldest)),
                'fix', 'autosync-db schedules list --state overdue');
        end if;
    end if;
    same := case state when 'calls_failing' then same_ticks else failing end;
    return next;
end
$$;

revoke all on function autosync.job_condition(text) from public;

comment on function autosync.job_condition(text) is 'what is wrong with a job now, and when it last did well';
