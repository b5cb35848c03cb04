"""The role that the job reads the secrets as can read them."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="secrets",
    claim="the role that the job reads the secrets as can read them",
    remedy=(
        "alter table public.pg_cron_secrets no force row level security; grant select on table "
        "public.pg_cron_secrets to current_user"
    ),
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
