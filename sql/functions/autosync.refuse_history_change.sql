-- refuse_history_change(): let nobody change or delete what the history of the secrets says.
-- requires: 0006
create or replace function autosync.refuse_history_change()
returns trigger
language plpgsql
volatile
set search_path = pg_catalog, pg_temp
as $$
begin
    raise exception 'autosync.secret_change is a history: rows are added to it and never changed or deleted'
        using errcode = 'insufficient_privilege';
end
$$;

revoke all on function autosync.refuse_history_change() from public;

comment on function autosync.refuse_history_change() is 'Trigger: the history of the secrets is append-only';
