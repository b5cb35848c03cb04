-- test_alert(receiver_id): write down a test message for a receiver and post it; return the message's id.
-- requires: 0008
-- For a heartbeat it is a ping, and so only sent within ten minutes of a proven success: it raises otherwise.
create or replace function autosync.test_alert(receiver_id integer)
returns bigint
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    receiver autosync.alert_receiver;
    succeeded_at timestamptz;
    alert_id bigint;
begin
    perform autosync.check_binding();
    select r.* into strict receiver from autosync.alert_receiver as r where r.id = test_alert.receiver_id;
    if receiver.kind <> 'heartbeat' then
        insert into autosync.alert (receiver_id, event, body)
        select receiver.id, 'test', autosync.alert_body(receiver.kind, 'test', j.name, jsonb_build_object('state', 'ok'))
        from (select) as always
        left join autosync.job as j on j.id = receiver.job_id
        returning id into alert_id;
    else
        select max(c.proven_at) into succeeded_at
        from autosync.job as j
        cross join lateral autosync.job_condition(j.name) as c
        where j.name <> 'autosync-keep-house' and (receiver.job_id is null or j.id = receiver.job_id)
            and c.proven_at > clock_timestamp() - interval '10 minutes';
        if succeeded_at is null then
            raise exception 'a ping says that a job has just succeeded, and no proven success is younger than ten minutes'
                using errcode = 'AS002', hint = 'run: autosync-db jobs trigger, and then this again';
        end if;
        insert into autosync.alert (receiver_id, job_id, event, success_at)
        values (receiver.id, receiver.job_id, 'heartbeat', succeeded_at)
        returning id into alert_id;
    end if;
    perform autosync.send_alerts(1000);
    return alert_id;
end
$$;

revoke all on function autosync.test_alert(integer) from public;

comment on function autosync.test_alert(integer) is 'post a test message';
