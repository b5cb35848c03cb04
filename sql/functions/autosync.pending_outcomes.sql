-- pending_outcomes(ids): what became of these requests of the ledger, whatever the answers hold.
-- requires: 0005
-- Anybody who answers, and any role that may write to pg_net's table of answers, chooses what is read here. Where one of them
-- cannot be read, each is read by itself, and that one is `unreadable`, with the reason. Called by settle(), which writes it
-- down, and by recent_outcomes(), which only looks.
create or replace function autosync.pending_outcomes(ids bigint[])
returns table (
    invocation_id bigint,
    outcome text,
    status_code integer,
    error_code text,
    error_message text,
    body_excerpt text,
    function_milliseconds integer,
    counts jsonb,
    answered_by text,
    proof text,
    sb_request_id text,
    execution_id text
)
language plpgsql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    found_rows jsonb;
    one bigint;
begin
    if coalesce(cardinality(ids), 0) = 0 then
        return;
    end if;
    begin
        -- collected first: what was returned before an error cannot be taken back
        select jsonb_agg(to_jsonb(o)) into found_rows from autosync.read_outcomes(ids) as o;
    exception
        -- what is missing, locked or, on a replica, not kept is so for each of them
        when undefined_table or insufficient_privilege or lock_not_available or query_canceled or feature_not_supported then
            raise;
        when others then
            found_rows := null;
            foreach one in array ids loop
                begin
                    select coalesce(found_rows, '[]') || to_jsonb(o) into found_rows
                    from autosync.read_outcomes(array[one]) as o;
                exception
                    when others then
                        found_rows := coalesce(found_rows, '[]') || jsonb_build_object(
                            'invocation_id', one,
                            'outcome', 'unreadable',
                            'error_message', 'the answer cannot be read: ' || left(sqlerrm, 200)
                        );
                end;
            end loop;
    end;
    return query
        select r.*
        from jsonb_to_recordset(found_rows) as r (
            invocation_id bigint, outcome text, status_code integer, error_code text, error_message text, body_excerpt text,
            function_milliseconds integer, counts jsonb, answered_by text, proof text, sb_request_id text, execution_id text
        );
end
$$;

revoke all on function autosync.pending_outcomes(bigint[]) from public;

comment on function autosync.pending_outcomes(bigint[]) is 'what became of these requests, whatever the answers hold';
