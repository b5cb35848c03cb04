-- answers: the newest 500 answers that pg_net keeps, as bytes: it stores bodies and headers that need not be text.
-- `created` is when the worker's batch began. A body that is longer than what is judged is cut. Any role may write there: a time
-- that no answer can have would stand before them all, and is none that a program could read.
select r.id, r.created, r.status_code, r.timed_out, pg_catalog.convert_to(pg_catalog.left(r.error_msg, 1000), 'UTF8') as error,
    pg_catalog.convert_to(r.headers::text, 'UTF8') as headers,
    pg_catalog.convert_to(case when pg_catalog.octet_length(r.content) <= 100000 then r.content else pg_catalog.left(r.content, 4000) end, 'UTF8') as body,
    pg_catalog.octet_length(r.content) > 100000 as is_cut
from (
    select n.*
    from net._http_response as n
    where n.created between now() - interval '1 year' and now() + interval '1 hour'
    order by n.created desc
    limit 500
) as r
