-- pg_net_tables_bounded: delete up to 5000 answers that expired over a day ago; return how many.
with kept as (
    select greatest(interval '6 hours', (
        select case
            when s.setting ~ '^\d{1,6} *(seconds?|minutes?|hours?|days?|s|min|h|d)$' then s.setting::interval
        end
        from pg_catalog.pg_settings as s
        where s.name = 'pg_net.ttl'
    )) + interval '1 day' as patience
),
deleted as (
    delete from net._http_response as r
    where r.ctid = any (array(
        select o.ctid
        from net._http_response as o
        where o.created < (select now() - k.patience from kept as k)
        order by o.created
        limit 5000
    ))
    returning r.id
)
select count(*) from deleted;
