-- invocations_bounded: delete up to 1000 ticks and 1000 calls of each job that are older than they are kept; return how many.
select autosync.prune();
