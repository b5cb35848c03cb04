-- settle_alerts(): read what pg_net holds of posted messages and heartbeats; return how many were settled or wait for another try.
-- requires: 0008
-- What a receiver did not take is tried again, later each time, twelve times. What it may have taken is not: no answer in time to a
-- request that was sent. A heartbeat is tried again only while its success is younger than ten minutes, and one that still waits in
-- the queue then is taken out of it: a ping says `now`, so a late one would lie.
create or replace function autosync.settle_alerts()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set standard_conforming_strings = on
as $$
declare
    item record;
    answer record;
    location text;
    retry_after integer;
    wait_seconds integer;
    verdict text;
    complaint text;
    settled integer := 0;
begin
    for item in
        select a.id, a.event, a.attempts, a.posted_at, a.success_at, a.request_ids[cardinality(a.request_ids)] as request_id,
            coalesce(a.epoch = autosync.pg_net_epoch(), false) as same_epoch
        from autosync.alert as a
        where a.outcome = 'posted'
        order by a.id
        limit 100
        for no key update of a skip locked
    loop
        verdict := null;
        complaint := null;
        wait_seconds := least(3600, 60 * cast(power(2, item.attempts - 1) as integer));
        -- in one look: pg_net takes a request out of the queue as it writes the answer
        select r.id, r.status_code, r.timed_out, r.error_msg, r.headers, q.id is not null as is_queued into answer
        from (select item.request_id as id where item.same_epoch) as p
        left join net._http_response as r on r.id = p.id and r.created >= item.posted_at - interval '5 seconds'
        left join net.http_request_queue as q on q.id = p.id;
        if answer.id is null then
            if answer.is_queued then
                if item.event = 'heartbeat' and item.success_at <= clock_timestamp() - interval '10 minutes' then
                    perform autosync.begin_epoch();
                    delete from net.http_request_queue as q
                    where q.id = any (array(
                        select o.id from net.http_request_queue as o where o.id = item.request_id for update skip locked
                    ));
                    verdict := case when found then 'dropped' end;
                end if;
                continue when verdict is null;
            elsif item.same_epoch and item.posted_at > clock_timestamp() - interval '25 seconds' then
                -- taken out of the queue and not answered yet: it has ten seconds, and pg_net a moment to write it down
                continue;
            else
                -- nobody knows whether it was sent; once more, so that a crash swallows no message
                verdict := case when item.attempts < 2 then 'again' else 'unconfirmed' end;
                complaint := 'pg_net lost the request';
            end if;
        elsif answer.status_code is not null then
            begin
                select max(h.value collate "C") filter (where lower(h.key collate "C") = 'location'),
                    least(3600, cast(substring(max(h.value collate "C") filter (where lower(h.key collate "C") = 'retry-after')
                        from '^\d{1,6}$') as integer))
                into location, retry_after
                from jsonb_each_text(case when jsonb_typeof(answer.headers) = 'object' then answer.headers end) as h;
                wait_seconds := greatest(wait_seconds, case when answer.status_code in (429, 503) then retry_after end);
            exception
                -- headers that no text can be
                when others then
                    location := null;
            end;
            if location is not null and answer.status_code not in (201, 202) then
                -- a redirected POST arrives as a GET without its body
                verdict := 'again';
                complaint := 'was redirected; give the address that it leads to';
            elsif answer.status_code between 200 and 299 then
                verdict := 'delivered';
            else
                verdict := 'again';
                complaint := 'the receiver answered ' || answer.status_code;
            end if;
        elsif answer.timed_out and not (
            answer.error_msg ~ 'HTTP Request/Response time: -?0\.?0* ms'
            -- pg_net says the same of a slow answer on a connection that it kept open
            and (answer.error_msg !~ 'Total time: ([0-9]+[.]?[0-9]?)[0-9]* ms \(DNS time: \1[0-9]* ms, TCP/SSL handshake time: 0\.?0* ms' or not exists (
                select from net._http_response as o
                where o.created between item.posted_at - interval '3 minutes' and item.posted_at and o.status_code is not null
            ))
        ) then
            verdict := 'unconfirmed';
            complaint := 'the receiver did not answer in time, and may have it';
        else
            verdict := 'again';
            complaint := autosync.excerpt(coalesce(answer.error_msg, 'no answer'));
        end if;
        if verdict = 'again' then
            verdict := case
                when item.event = 'test' then 'given_up'
                when item.event = 'heartbeat' then case
                    when item.success_at + interval '10 minutes' > clock_timestamp() + make_interval(secs => wait_seconds) then 'waiting'
                    else 'dropped' end
                when item.attempts < 12 then 'waiting'
                else 'given_up'
            end;
        end if;
        update autosync.alert as a
        set outcome = verdict,
            status_code = answer.status_code,
            error_message = left(complaint, 200),
            next_try_at = clock_timestamp() + make_interval(secs => wait_seconds),
            settled_at = case when verdict <> 'waiting' then clock_timestamp() end
        where a.id = item.id;
        settled := settled + 1;
    end loop;

    delete from autosync.alert as a
    where a.id = any (array(
        select o.id
        from (select k.id, k.created_at, k.event, k.outcome from autosync.alert as k order by k.id limit 1000) as o
        where o.outcome not in ('waiting', 'posted')
            and o.created_at < clock_timestamp() - case o.event when 'heartbeat' then interval '2 days' else interval '30 days' end
    ));
    return settled;
end
$$;

revoke all on function autosync.settle_alerts() from public;

comment on function autosync.settle_alerts() is 'what became of the messages and heartbeats';
