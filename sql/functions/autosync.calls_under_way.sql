-- calls_under_way(job_id): how many calls of a job have no answer, or no report, although one can still come.
-- requires: 0005
-- It looks at pg_net itself, so it is right also when housekeeping is late. Of the pending only the newest are looked at.
create or replace function autosync.calls_under_way(job_id integer)
returns integer
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select cast(count(*) as integer)
    from (
        select i.*
        from autosync.invocation as i
        -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
        where i.job_id between calls_under_way.job_id and calls_under_way.job_id and i.outcome in ('pending', 'accepted')
        order by i.job_id desc, i.id desc
        limit 100
    ) as p
    where p.epoch = autosync.pg_net_epoch()
        and case p.outcome
            when 'accepted' then p.report_due_at > clock_timestamp()
            else not exists (
                select from net._http_response as r
                where r.id = p.request_id and r.created >= p.queued_at - interval '5 seconds'
            )
            and (
                exists (select from net.http_request_queue as q where q.id = p.request_id)
                -- taken out of the queue and not answered yet
                or p.queued_at + make_interval(secs => p.timeout_milliseconds / 1000.0 + 15) > clock_timestamp()
            )
        end
$$;

revoke all on function autosync.calls_under_way(integer) from public;

comment on function autosync.calls_under_way(integer) is 'how many calls of a job can still be answered';
