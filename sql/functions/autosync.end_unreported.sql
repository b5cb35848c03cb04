-- end_unreported(max_calls): settle the accepted calls whose time to report is over, as timed out; return how many.
-- requires: 0005
-- Which ones is chosen once, as an array: a plan may run a subquery again, and one that skips locked rows then finds others.
create or replace function autosync.end_unreported(max_calls integer)
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    ended integer;
begin
    update autosync.invocation as i
    set outcome = 'timed_out',
        error_message = format('the function accepted the call and did not report within %s', i.report_due_at - i.queued_at),
        settled_at = clock_timestamp()
    where i.id = any (array(
        select o.id
        from autosync.invocation as o
        where o.outcome = 'accepted' and o.report_due_at <= clock_timestamp()
        order by o.id
        limit end_unreported.max_calls
        for no key update skip locked
    ));
    get diagnostics ended = row_count;
    return ended;
end
$$;

revoke all on function autosync.end_unreported(integer) from public;

comment on function autosync.end_unreported(integer) is 'settle accepted calls that did not report in time';
