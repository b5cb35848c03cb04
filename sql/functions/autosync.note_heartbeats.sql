-- note_heartbeats(): a ping for each heartbeat whose job, or all of whose jobs, did well since the last one; return how many.
-- requires: 0008
-- A job did well when its success is proven: by an answer that states it or that the job's settings expect, or by a statement that ran
-- through. A ping is sent only if the newest finished tick of each of these jobs was such a success and none of them has a fault:
-- otherwise silence is the message. One ping at a time for each receiver.
create or replace function autosync.note_heartbeats()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    receiver record;
    succeeded_at timestamptz;
    pinged integer := 0;
begin
    for receiver in
        select r.id, r.job_id, r.reported_at
        from autosync.alert_receiver as r
        where r.kind = 'heartbeat'
            and not exists (
                select from autosync.alert as a where a.receiver_id = r.id and a.outcome in ('waiting', 'posted')
            )
        order by r.id
    loop
        -- to look at the jobs themselves takes longer than all else here
        continue when exists (
            select from autosync.job as j
            left join autosync.alert_state as s on s.job_id = j.id
            where s.state is distinct from 'ok' and case when receiver.job_id is null
                then j.name <> 'autosync-keep-house' and not j.watch and j.enabled and j.paused_at is null
                else j.id = receiver.job_id end
        );
        select case
            when bool_and(
                c.state is null
                -- one that was never called yet cannot have failed
                and (c.proven_at is not null or receiver.job_id is null and c.good_at is null and j.created_at > now() - interval '1 day')
            ) then max(c.proven_at)
        end
        into succeeded_at
        from autosync.job as j
        cross join lateral autosync.job_condition(j.name) as c
        where case when receiver.job_id is null
            then j.name <> 'autosync-keep-house' and not j.watch and j.enabled and j.paused_at is null
            else j.id = receiver.job_id and j.enabled and j.paused_at is null end;
        -- an old success is not notified: the ping would say that it was now
        if succeeded_at > coalesce(receiver.reported_at, '-infinity') and succeeded_at > clock_timestamp() - interval '10 minutes' then
            insert into autosync.alert (receiver_id, job_id, event, success_at)
            values (receiver.id, receiver.job_id, 'heartbeat', succeeded_at);
            update autosync.alert_receiver as r set reported_at = succeeded_at where r.id = receiver.id;
            pinged := pinged + 1;
        end if;
    end loop;
    return pinged;
end
$$;

revoke all on function autosync.note_heartbeats() from public;

comment on function autosync.note_heartbeats() is 'pings for the jobs that did well';
