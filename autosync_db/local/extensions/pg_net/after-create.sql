-- What a hosted project grants after create extension pg_net.
grant usage on schema net to postgres, anon, authenticated, service_role;
