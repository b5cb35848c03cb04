-- answers: the newest 500 answers that pg_net keeps, as bytes: it stores bodies and headers that need not be text.
-- `created` is when the worker's batch began. A body that is longer than what is judged is cut. Any role may write there: a time
-- that no answer can have would stand before them all, and is none that a program could read. convert_to() would refuse bytes that
-- are no text; a cast takes them, once a backslash stands for itself.
select r.id, r.created, r.status_code, r.timed_out, cast(pg_catalog.replace(pg_catalog.left(r.error_msg, 1000), E'\\', E'\\\\') as bytea) as error,
    cast(pg_catalog.replace(r.headers::text, E'\\', E'\\\\') as bytea) as headers,
    cast(pg_catalog.replace(case when pg_catalog.octet_length(r.content) <= 100000 then r.content else pg_catalog.left(r.content, 4000) end, E'\\', E'\\\\')
        as bytea) as body,
    pg_catalog.octet_length(r.content) > 100000 as is_cut
from (
    select n.*
    from net._http_response as n
    where n.created between now() - interval '1 year' and now() + interval '1 hour'
    order by n.created desc
    limit 500
) as r
