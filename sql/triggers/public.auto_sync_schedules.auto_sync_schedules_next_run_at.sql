-- auto_sync_schedules_next_run_at: run autosync.set_next_run_at() for every row written, whatever columns it names.
-- requires: 0003
--
-- An ordinary trigger, not `enable always`: with session_replication_role = replica (a restore, a subscriber) rows come
-- complete from elsewhere, next_run_at included, and recomputing would move every schedule that has yet to run. A row
-- that came without one is put right by its next update.
create or replace trigger auto_sync_schedules_next_run_at
before insert or update on public.auto_sync_schedules
for each row execute function autosync.set_next_run_at();
