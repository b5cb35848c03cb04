-- keep_house(): what must be done for all jobs and must not delay a tick: settle, repeat, move, delete, note, tell. Returns what was done.
-- requires: 0005
-- The command of a cron job of its own. Each step is bounded and guarded, so that one that fails, or that another session's
-- lock holds up, does not stop the others; its error is in the result and in the server's log. A second one that runs at the
-- same time does nothing.
create or replace function autosync.keep_house()
returns jsonb
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
set lock_timeout = '1s'
as $$
declare
    step record;
    number integer;
    done jsonb := '{}';
begin
    -- a row of ours and no advisory lock, which every role could hold
    insert into autosync.housekeeping default values on conflict do nothing;
    perform from autosync.housekeeping for no key update skip locked;
    if not found then
        return jsonb_build_object('skipped', 'another session is at it');
    end if;
    for step in
        select s.name, s.statement
        from (values
            (1, 'settled', 'select autosync.settle()'),
            (2, 'unreported', 'select autosync.end_unreported(1000)'),
            (3, 'repeated', 'select autosync.retry_calls(100)'),
            (4, 'moved', 'select autosync.move_shut_windows(1000)'),
            (5, 'deleted', 'select autosync.prune()'),
            (6, 'runs_deleted', 'select autosync.prune_runs()'),
            (7, 'gone_jobs', 'select autosync.note_gone_jobs()'),
            (8, 'address_kept', 'select autosync.keep_address()'),
            -- before revision 0008 nobody is notified
            (9, 'alerted', case when to_regprocedure('autosync.raise_alerts()') is not null then 'select autosync.raise_alerts()' end)
        ) as s (position, name, statement)
        where s.statement is not null
        order by s.position
    loop
        begin
            execute step.statement into number;
            done := done || jsonb_build_object(step.name, number);
        exception
            when others then
                raise warning 'housekeeping could not finish "%": %', step.name, sqlerrm;
                done := done || jsonb_build_object('errors',
                    coalesce(done -> 'errors', '{}') || jsonb_build_object(step.name, left(sqlerrm, 200)));
        end;
    end loop;
    return done;
end
$$;

revoke all on function autosync.keep_house() from public;

comment on function autosync.keep_house() is 'the command of the cron job autosync-keep-house';
