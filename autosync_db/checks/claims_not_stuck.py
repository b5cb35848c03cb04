"""No claim keeps a due schedule from being run for over an hour."""

from autosync_db.checks.model import Check

CHECK = Check(
    layer="schedules",
    claim="no claim keeps a due schedule from being run for over an hour",
    remedy=(
        "update public.auto_sync_schedules set claim_id = null, claimed_at = null, claim_expires_at = "
        "null where claimed_at < now() - interval '1 hour' and claim_expires_at > now()"
    ),
    needs=("head_applied",),
)
