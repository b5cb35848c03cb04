-- auto-sync-cron-job: one cron job per row of autosync.job, as that row says.
-- requires: 0005
select autosync.sync_job(j.name) from autosync.job as j order by j.name;
