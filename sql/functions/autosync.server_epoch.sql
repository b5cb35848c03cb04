-- server_epoch(): when this server last started or recovered from a crash.
-- requires: 0005
-- The checkpointer starts again after a restart and after crash recovery; pg_postmaster_start_time() does not move on the
-- latter, and is all that a role without pg_monitor sees.
create or replace function autosync.server_epoch()
returns timestamptz
language sql
stable
security definer
set search_path = pg_catalog, pg_temp
as $$
    select coalesce(
        (select a.backend_start from pg_catalog.pg_stat_activity as a where a.backend_type = 'checkpointer'),
        pg_catalog.pg_postmaster_start_time()
    )
$$;

revoke all on function autosync.server_epoch() from public;

comment on function autosync.server_epoch() is 'when this server last started or recovered from a crash';
