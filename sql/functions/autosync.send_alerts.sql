-- send_alerts(max_calls): hand messages and heartbeats whose time has come to pg_net; return how many.
-- requires: 0008
-- Nothing but the address and what is said goes along: no credential of the project. Of one receiver's messages about a job the oldest
-- goes first, and the next when that one is settled. So many are in pg_net's hands at most. An address that is missing counts as a try.
create or replace function autosync.send_alerts(max_calls integer)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    item record;
    address text;
    request_id bigint;
    complaint text;
    current_epoch text;
    posted integer := 0;
begin
    for item in
        select a.id, a.event, a.key, a.body, a.success_at, r.form, r.secret_name
        from autosync.alert as a
        left join autosync.alert_receiver as r on r.id = a.receiver_id
        where a.outcome = 'waiting'
            and a.next_try_at <= clock_timestamp()
            and not exists (
                select from autosync.alert as o
                where o.outcome in ('waiting', 'posted') and o.id < a.id
                    and (o.receiver_id, coalesce(o.job_id, 0)) = (a.receiver_id, coalesce(a.job_id, 0))
            )
        order by a.id
        limit greatest(0, send_alerts.max_calls
            - (select count(*) from autosync.alert as p where p.outcome = 'posted' and p.event <> 'test'))
        for no key update of a skip locked
    loop
        if item.secret_name is null
            or item.event = 'heartbeat' and item.success_at <= clock_timestamp() - interval '10 minutes'
        then
            update autosync.alert as a
            set outcome = 'dropped', settled_at = clock_timestamp(),
                error_message = case when item.secret_name is null then 'the receiver was deleted' else 'too late to be true' end
            where a.id = item.id;
            continue;
        end if;
        complaint := null;
        begin
            current_epoch := autosync.begin_epoch();
            address := autosync.read_secret(item.secret_name);
            -- every argument by name: positions and defaults differ between versions of pg_net
            if item.event = 'heartbeat' then
                request_id := net.http_get(
                    url := address || case when item.form in ('cronitor', 'sentry') then
                        case when address ~ '[?]' then '&' else '?' end || case item.form when 'cronitor' then 'state=complete' else 'status=ok' end
                        else '' end,
                    params := '{}'::jsonb,
                    headers := '{}'::jsonb,
                    timeout_milliseconds := 10000
                );
            else
                request_id := net.http_post(
                    url := address,
                    body := item.body,
                    params := '{}'::jsonb,
                    headers := jsonb_build_object('Content-Type', 'application/json', 'Idempotency-Key', cast(item.key as text)),
                    timeout_milliseconds := 10000
                );
            end if;
            if request_id is null then
                complaint := 'pg_net did not accept the request';
            end if;
        exception
            when others then
                complaint := autosync.excerpt(sqlerrm);
        end;
        if complaint is not null then
            raise warning 'a message could not be sent: %', complaint;
            update autosync.alert as a
            set outcome = case when a.attempts >= 11 or item.event = 'test' then 'given_up' else 'waiting' end,
                attempts = a.attempts + 1,
                next_try_at = clock_timestamp() + make_interval(secs => least(3600, 60 * power(2, a.attempts))),
                settled_at = case when a.attempts >= 11 or item.event = 'test' then clock_timestamp() end,
                error_message = left(complaint, 200)
            where a.id = item.id;
            continue;
        end if;
        update autosync.alert as a
        set outcome = 'posted', attempts = a.attempts + 1, request_ids = a.request_ids || request_id, epoch = current_epoch,
            posted_at = clock_timestamp()
        where a.id = item.id;
        posted := posted + 1;
    end loop;
    return posted;
end
$$;

revoke all on function autosync.send_alerts(integer) from public;

comment on function autosync.send_alerts(integer) is 'hand messages and heartbeats to pg_net';
