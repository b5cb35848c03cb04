"""No migration that the Supabase CLI recorded here holds a key."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="secrets",
    claim="no migration that the Supabase CLI recorded here holds a key",
    remedy=(
        "update supabase_migrations.schema_migrations set statements = array(select "
        "regexp_replace(s.text, "
        "'eyJ[A-Za-z0-9_-]{10,}\\.[A-Za-z0-9_.-]{10,}|sb_secret_[A-Za-z0-9_-]{8,}|sbp_[0-9a-f]{40}', "
        "'***', 'g') from unnest(statements) with ordinality as s (text, number) order by s.number) "
        "where array_to_string(statements, ' ') ~ 'eyJ|sb_secret_|sbp_'"
    ),
    needs=("head_applied", "secrets_present"),
)
