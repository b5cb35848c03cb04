-- server_is_primary: a server in recovery starts neither pg_cron's launcher nor pg_net's worker, although cron.job says active there.
select 'critical' as status, format('database %s', current_database()) as object,
    'is a read replica: no job starts here, and what verify says of it is not the health of the primary' as detail,
    jsonb_build_object('database', current_database()) as facts
where pg_is_in_recovery()
