-- pg_cron_secrets_touched: run autosync.touch_secret() for every row updated.
-- requires: 0006
create or replace trigger pg_cron_secrets_touched
before update on public.pg_cron_secrets
for each row execute function autosync.touch_secret();
