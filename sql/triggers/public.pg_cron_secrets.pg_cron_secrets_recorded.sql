-- pg_cron_secrets_recorded: run autosync.record_secret_change() for every row written or deleted, whoever does it.
-- requires: 0006
create or replace trigger pg_cron_secrets_recorded
after insert or update or delete on public.pg_cron_secrets
for each row execute function autosync.record_secret_change();
