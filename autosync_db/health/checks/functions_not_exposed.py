"""No API user can execute a function that works with the secrets or the job."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="no API user can execute a function that works with the secrets or the job",
    remedy="autosync-db repair functions_not_exposed",
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
