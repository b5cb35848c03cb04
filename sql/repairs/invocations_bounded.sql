-- invocations_bounded: delete up to 1000 ticks of the job that are older than they are kept, and old runs; return how many.
select autosync.prune();
