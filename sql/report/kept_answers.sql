-- kept_answers: how far back the answers reach that pg_net keeps.
select 'net._http_response' as table, min(r.created) as oldest_at from net._http_response as r
