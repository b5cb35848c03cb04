-- other_answers_good: what pg_net holds of calls that are not in the ledger, of its newest 500 answers and our newest 5000 calls and messages.
-- Whose call it was pg_net does not keep: jobs whose run began in the five seconds before are named, matched by time.
with ledger as materialized (
    select i.request_id, i.queued_at from autosync.invocation as i order by i.id desc limit 5000
),
-- the answers of those who are notified of faults
message as materialized (
    select q.request_id, a.created_at
    from (select n.* from autosync.alert as n order by n.id desc limit 5000) as a
    cross join unnest(a.request_ids) as q (request_id)
),
answer as (
    select r.id, r.created, r.status_code, r.timed_out, r.error_msg, r.content, r.headers
    from (
        select n.*
        from net._http_response as n
        -- any role may write there: a time that no answer can have would stand before them all
        where n.created between now() - interval '1 year' and now() + interval '1 hour'
        order by n.created desc
        limit 500
    ) as r
    -- what was answered before these calls may have been ours
    where r.created >= coalesce((select min(l.queued_at) from ledger as l), (select max(j.created_at) from autosync.job as j))
        and not exists (
            select from ledger as l
            where l.request_id = r.id and l.queued_at between r.created - interval '1 day' and r.created + interval '1 minute'
        )
        and not exists (
            select from message as m
            where m.request_id = r.id and m.created_at between r.created - interval '1 day' and r.created + interval '1 minute'
        )
),
judged as (
    select a.id, a.created, a.status_code,
        case
            when a.status_code is null then coalesce(a.error_msg, 'no answer')
            when a.status_code not between 200 and 299 then a.status_code::text
            when w.is_page then format('%s, a web page', a.status_code)
            when autosync.answer_facts(a.content) ->> 'is' = 'failed' then format('%s, and says that it failed', a.status_code)
        end as fault,
        a.content
    from answer as a
    cross join lateral (
        select autosync.answerer_kind(autosync.answered_by(a.status_code, a.headers, a.content)) in ('pages', 'firewall', 'gateway') as is_page
    ) as w
),
fault as (
    select regexp_replace(left(j.fault, 100), '[0-9.]+ ms', '… ms', 'g') as fault, count(*) as answers, max(j.created) as last_at,
        (array_agg(j.content order by j.created desc))[1] as content, array_agg(j.created) as moments
    from judged as j
    where j.fault is not null
    group by 1
    order by 2 desc
    limit 10
)
select 'warning' as status, 'calls of other jobs' as object,
    format('%s of %s answers were not good: %s%s, the newest at %s%s', f.answers, (select count(*) from judged), f.fault,
        coalesce(' ' || left(nullif(autosync.excerpt(f.content), ''), 120), ''), autosync.moment(f.last_at),
        coalesce('; matched by time: ' || m.names, '')) as detail,
    jsonb_build_object('count', f.answers, 'total', (select count(*) from judged), 'last_at', f.last_at, 'matched_by', case
        when m.names is not null then 'time' end) as facts
from fault as f
left join lateral (
    select string_agg(distinct coalesce(c.jobname, format('job %s', c.jobid)), ', ') as names
    from (select n.jobid, n.start_time from cron.job_run_details as n order by n.runid desc limit 2000) as d
    join cron.job as c on c.jobid = d.jobid
    where not exists (select from autosync.job as k where k.name = c.jobname)
        and (c.command ~* 'http|net\.' or exists (
            -- through a function of the project
            select from pg_catalog.pg_proc as p
            where p.pronamespace <> 'pg_catalog'::regnamespace and strpos(lower(c.command), lower(p.proname)) > 0
                and coalesce(pg_get_function_sqlbody(p.oid), p.prosrc) ~* '\mhttp_(post|get|put|patch|delete)\M'
        ))
        and exists (select from unnest(f.moments) as o (at) where d.start_time between o.at - interval '5 seconds' and o.at + interval '1 second')
) as m on true
