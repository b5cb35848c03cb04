-- kept_answers: how far back the answers reach that pg_net keeps.
-- Any role may write there, also a time that no answer can have.
select 'net._http_response' as table, min(r.created) as oldest_at
from net._http_response as r
where r.created between now() - interval '1 year' and now() + interval '1 hour'
