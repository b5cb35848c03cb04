-- pg_cron: the scheduler, in pg_catalog; its own objects are in the schema cron.
-- requires: 0001
-- No version: hosted platforms choose it. Applied again when somebody has dropped it, and with it every job.
create extension if not exists pg_cron with schema pg_catalog;
