-- messages: our own messages about faults and heartbeats, whose answers are verify's business and not an audit's.
select q.request_id, a.created_at as queued_at
from (select n.* from autosync.alert as n order by n.id desc limit 5000) as a
cross join unnest(a.request_ids) as q (request_id)
