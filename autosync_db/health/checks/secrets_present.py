"""The project URL and what the function knows its caller by are stored."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    scope="call",
    claim="the project URL and what the function knows its caller by are stored",
    remedy="autosync-db setup",
    needs=("head_applied", "secrets_readable_by_job", "privileges_sufficient"),
    causes=("head_applied",),
)
