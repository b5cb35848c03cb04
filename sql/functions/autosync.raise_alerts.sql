-- raise_alerts(): tell the receivers which jobs fail and which work again, and send heartbeats; return how many requests were posted.
-- requires: 0008
-- Called by keep_house(). Each step is guarded, so that one that fails does not stop the others; none is done where there is no
-- receiver. A second one at the same time does nothing: each state is said once. A copy of a database that belongs to another
-- project says nothing, above all not that it is well.
create or replace function autosync.raise_alerts()
returns integer
language plpgsql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
declare
    step record;
    number integer;
    complaint text;
    posted integer := 0;
begin
    if not exists (select from autosync.alert_receiver) then
        return 0;
    end if;
    perform from autosync.housekeeping for no key update skip locked;
    if not found then
        return 0;
    end if;
    begin
        if exists (select from autosync.binding_findings() as f where f.status = 'critical') then
            return 0;
        end if;
    exception
        -- the secrets cannot be read, which the jobs' own calls fail for; a copy could not read an address either
        when others then
            null;
    end;
    for step in
        select s.name, s.statement
        from (values
            (1, 'read the answers to messages', 'select autosync.settle_alerts()'),
            (2, 'note the states of the jobs', 'select autosync.note_job_states()'),
            (3, 'note heartbeats', 'select autosync.note_heartbeats()'),
            (4, 'send messages', 'select autosync.send_alerts(20)')
        ) as s (position, name, statement)
        order by s.position
    loop
        begin
            execute step.statement into number;
            posted := case when step.name = 'send messages' then number else posted end;
        exception
            when others then
                raise warning 'alerts could not %: %', step.name, sqlerrm;
                complaint := format('could not %s: %s', step.name, left(sqlerrm, 150));
        end;
    end loop;
    -- kept where verify looks: nobody reads the server's log before
    if complaint is not null then
        insert into autosync.setting as s (name, value) values ('alerts_error', to_jsonb(autosync.excerpt(complaint)))
        on conflict (name) do update set value = excluded.value, updated_at = clock_timestamp();
    else
        delete from autosync.setting as s where s.name = 'alerts_error';
    end if;
    return posted;
end
$$;

revoke all on function autosync.raise_alerts() from public;

comment on function autosync.raise_alerts() is 'tell the receivers which jobs fail and which work again';
