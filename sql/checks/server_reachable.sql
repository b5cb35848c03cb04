-- server_reachable: who was let in where; a query that runs proves it.
select 'ok' as status, format('server %s', coalesce(host(inet_server_addr()), 'on a local socket')) as object,
    format('PostgreSQL %s let %s into %s', current_setting('server_version'), current_user, current_database()) as detail,
    jsonb_build_object('version', current_setting('server_version'), 'role', current_user, 'database', current_database()) as facts
