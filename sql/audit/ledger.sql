-- ledger: our own newest calls, whose answers are verify's business and not an audit's.
select i.request_id, i.queued_at from autosync.invocation as i order by i.id desc limit 5000
