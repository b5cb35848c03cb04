"""The stored secrets hold no blanks and no invisible characters."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="secrets",
    claim="the stored secrets hold no blanks and no invisible characters",
    remedy=(
        "update public.pg_cron_secrets set secret = regexp_replace(secret, '[^!-~]', '', 'g'), "
        "updated_at = clock_timestamp() where name in ('project_url', 'service_role_key') and secret ~ "
        "'[^!-~]'"
    ),
    needs=("head_applied", "secrets_present"),
    repairable=True,
)
