-- secret_change_append_only: run autosync.refuse_history_change() for whatever would change or delete rows.
-- requires: 0006
create or replace trigger secret_change_append_only
before update or delete or truncate on autosync.secret_change
for each statement execute function autosync.refuse_history_change();
