-- settle(): write the outcomes that pg_net has by now into the ledger; return how many were settled or accepted.
-- requires: 0005
-- Called by keep_house(), and by the command line while it waits for an answer. It goes on until it has looked at all that is
-- pending, so that no number of calls that still wait keeps it from those that were answered.
create or replace function autosync.settle()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    looked_to bigint := 0;
    ids bigint[];
    step integer;
    settled integer := 0;
begin
    loop
        -- another settler writes the same facts: what it has in hand is left to it
        ids := array(
            select i.id
            from autosync.invocation as i
            where i.outcome = 'pending' and i.id > looked_to
            order by i.id
            limit 500
            for no key update skip locked
        );
        exit when cardinality(ids) = 0;
        looked_to := ids[cardinality(ids)];

        update autosync.invocation as i
        set outcome = o.outcome,
            status_code = o.status_code,
            error_code = o.error_code,
            error_message = o.error_message,
            body_excerpt = o.body_excerpt,
            function_milliseconds = o.function_milliseconds,
            counts = o.counts,
            answered_by = o.answered_by,
            proof = o.proof,
            sb_request_id = o.sb_request_id,
            execution_id = o.execution_id,
            answered_at = case when o.outcome <> 'lost' then clock_timestamp() end,
            settled_at = case when o.outcome <> 'accepted' then clock_timestamp() end,
            report_due_at = case when o.outcome = 'accepted' then i.queued_at + j.reports_within end,
            -- only what may pass by itself; a key, an address or an error of the function's own does not
            retry_at = case
                when i.attempt < j.retry_attempts
                    and (o.outcome = 'network_error' or o.status_code in (429, 502, 503, 504, 546))
                    then clock_timestamp() + j.retry_wait
            end
        from autosync.pending_outcomes(ids) as o, autosync.invocation as k
        left join autosync.job as j on j.id = k.job_id
        where i.id = o.invocation_id
            and k.id = i.id
            and o.outcome <> 'pending';
        get diagnostics step = row_count;
        settled := settled + step;
    end loop;
    return settled;
end
$$;

revoke all on function autosync.settle() from public;

comment on function autosync.settle() is 'make the outcomes that pg_net holds durable';
