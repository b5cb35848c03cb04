-- note_job_states(): write down which jobs changed their state, and the messages that say so; return how many messages.
-- requires: 0008
-- The only place that decides what is said. A job fails after as many failing ticks in a row as `after` in [alerts] says, and at once
-- where nothing has to be counted. It works again when something newer than the fault shows it. Evidence that is older than the time at
-- which a fault was last seen does not turn it into another fault. At most one message per job in ten minutes: what changed in between
-- is one summary.
create or replace function autosync.note_job_states()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    failures integer := coalesce(
        (select cast(s.value ->> 'after' as integer) from autosync.setting as s where s.name = 'alerts'), 2);
    job record;
    now_found record;
    kept autosync.alert_state;
    event text;
    good_at timestamptz;
    said integer := 0;
    step integer;
begin
    delete from autosync.alert_state as s where not exists (select from autosync.job as j where j.id = s.job_id);
    for job in
        select j.id, j.name
        from autosync.job as j
        -- a paused job is as it was
        where j.name <> 'autosync-keep-house' and j.enabled and j.paused_at is null
        order by j.id
    loop
        insert into autosync.alert_state (job_id) values (job.id) on conflict do nothing;
        select s.* into kept from autosync.alert_state as s where s.job_id = job.id for no key update;
        -- with how it is, whether it is still to tick: what a pause does to it is no fault
        select c.* into now_found
        from autosync.job as j
        left join lateral autosync.job_condition(j.name) as c on true
        where j.id = job.id and j.enabled and j.paused_at is null;
        continue when not found;
        good_at := case kept.state
            when 'runs_failing' then now_found.ran_at
            when 'ticks_missed' then now_found.ticked_at
            when 'schedules_overdue' then clock_timestamp()
            else now_found.good_at
        end;
        if now_found.state is not null then
            if now_found.state = kept.state and (now_found.cause = kept.cause or now_found.same < failures) then
                update autosync.alert_state as s set seen_at = clock_timestamp() where s.job_id = job.id;
            elsif (kept.state = 'ok' and coalesce(now_found.failing >= failures, true))
                or (kept.state <> 'ok' and coalesce(now_found.same >= failures, true)
                    and (now_found.bad_at > kept.seen_at or now_found.state = kept.state))
            then
                update autosync.alert_state as s
                set state = now_found.state, cause = now_found.cause, facts = now_found.facts, changes = s.changes + 1,
                    since = clock_timestamp(), seen_at = clock_timestamp()
                where s.job_id = job.id;
            end if;
        elsif kept.state <> 'ok' and good_at > kept.seen_at then
            update autosync.alert_state as s
            set state = 'ok', cause = '', changes = s.changes + 1, since = clock_timestamp(), seen_at = clock_timestamp(),
                facts = jsonb_build_object(
                    'evidence', format('failed since %s, the first good sign was at %s', autosync.moment(s.since), autosync.moment(good_at)),
                    'was', s.facts ->> 'root_cause')
            where s.job_id = job.id;
        end if;

        select s.* into kept from autosync.alert_state as s where s.job_id = job.id;
        if kept.changes < 2 and (kept.state, kept.cause) = (kept.said_state, kept.said_cause)
            or kept.said_at > clock_timestamp() - interval '10 minutes'
        then
            continue;
        end if;
        event := case when kept.changes > 1 then 'summary' when kept.state = 'ok' then 'recovered' else 'fault' end;
        insert into autosync.alert (receiver_id, job_id, event, body)
        select r.id, job.id, event, autosync.alert_body(r.kind, event, job.name, kept.facts || jsonb_build_object(
            'state', kept.state, 'cause', kept.cause, 'since', to_char(kept.since at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
            'changes', kept.changes, 'changed_since', autosync.moment(coalesce(kept.said_at, kept.since))))
        from autosync.alert_receiver as r
        where r.kind <> 'heartbeat' and (r.job_id is null or r.job_id = job.id);
        get diagnostics step = row_count;
        -- with nobody to be notified, it is said when there is somebody
        update autosync.alert_state as s
        set changes = 0,
            said_state = case when step > 0 then s.state else s.said_state end,
            said_cause = case when step > 0 then s.cause else s.said_cause end,
            said_at = case when step > 0 then clock_timestamp() else s.said_at end
        where s.job_id = job.id;
        said := said + step;
    end loop;
    return said;
end
$$;

revoke all on function autosync.note_job_states() from public;

comment on function autosync.note_job_states() is 'which jobs changed their state, and the messages that say so';
