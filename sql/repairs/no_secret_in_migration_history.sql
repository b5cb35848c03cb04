-- no_secret_in_migration_history: mask the keys in the texts of migrations that the Supabase CLI recorded.
update supabase_migrations.schema_migrations as m
set statements = array(
    select autosync.mask_keys(s.text)
    from unnest(m.statements) with ordinality as s (text, number)
    order by s.number
)
where autosync.holds_key(array_to_string(m.statements, ' '));
