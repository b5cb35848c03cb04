"""Every function that works with the secrets or the job pins its search_path."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="security",
    claim="every function that works with the secrets or the job pins its search_path",
    remedy="autosync-db repair search_path_pinned",
    needs=("head_applied",),
    causes=("head_applied",),
    repairable=True,
)
