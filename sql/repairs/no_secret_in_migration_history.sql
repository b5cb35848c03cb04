-- no_secret_in_migration_history: mask the keys in the texts of migrations that the Supabase CLI recorded.
update supabase_migrations.schema_migrations as m
set statements = array(
    select regexp_replace(
        s.text, 'eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_.-]{10,}|sb_secret_[A-Za-z0-9_-]{8,}|sbp_[0-9a-f]{40}', '***', 'g'
    )
    from unnest(m.statements) with ordinality as s (text, number)
    order by s.number
)
where array_to_string(m.statements, ' ')
    ~ 'eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}|sb_secret_[A-Za-z0-9_-]{8,}|sbp_[0-9a-f]{40}';
