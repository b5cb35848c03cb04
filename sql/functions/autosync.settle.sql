-- settle(): write the outcomes that pg_net has by now into the ledger; return how many were settled.
-- requires: 0005
-- Called by dispatch() before it posts, and by the command line while it waits for an answer.
create or replace function autosync.settle()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    settled integer;
begin
    -- two settlers at once write the same facts; the second finds nothing pending
    update autosync.invocation as i
    set outcome = o.outcome,
        status_code = o.status_code,
        error_code = o.error_code,
        error_message = o.error_message,
        body_excerpt = o.body_excerpt,
        settled_at = clock_timestamp()
    from autosync.pending_outcomes() as o
    where i.id = o.invocation_id
        and i.outcome = 'pending'
        and o.outcome <> 'pending';
    get diagnostics settled = row_count;
    return settled;
end
$$;

revoke all on function autosync.settle() from public;

comment on function autosync.settle() is 'make the outcomes that pg_net holds durable';
