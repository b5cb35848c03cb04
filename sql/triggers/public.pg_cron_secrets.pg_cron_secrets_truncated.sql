-- pg_cron_secrets_truncated: run autosync.record_secret_change() before the table is emptied, while its rows are there.
-- requires: 0006
create or replace trigger pg_cron_secrets_truncated
before truncate on public.pg_cron_secrets
for each statement execute function autosync.record_secret_change();
