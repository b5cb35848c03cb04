-- kept_ledger: how far back the ledger reaches, and how long its rows are kept.
select w.name as table, w.oldest_at, extract(epoch from (select max(j.keep_invocations) from autosync.job as j)) as kept
from (
    select 'autosync.tick' as name, (select t.ticked_at from autosync.tick as t order by t.id limit 1) as oldest_at
    union all
    select 'autosync.invocation', (select i.queued_at from autosync.invocation as i order by i.id limit 1)
) as w
