-- registered: the names of all jobs, housekeeping's too.
select j.name from autosync.job as j
