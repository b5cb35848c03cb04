"""This is the database that was bound to the project whose function it calls."""

from autosync_db.health.model import Check

CHECK = Check(
    layer="secrets",
    claim="this is the database that was bound to the project whose function it calls",
    remedy="autosync-db setup --rebind --project-ref REF --service-role-key-file PATH",
    needs=("head_applied", "privileges_sufficient"),
    causes=("head_applied",),
)
