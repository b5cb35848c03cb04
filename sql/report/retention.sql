-- retention: how long the runs of our jobs are kept.
select extract(epoch from max(j.keep_run_details)) as runs from autosync.job as j
