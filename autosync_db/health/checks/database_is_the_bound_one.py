"""This is the database that was bound to the project whose function it calls."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="secrets",
    claim="this is the database that was bound to the project whose function it calls",
    remedy=ByYou(
        "a copy keeps calling nobody; only if this database belongs to that project now, bind it again",
        then="autosync-db setup --rebind --project-ref REF --service-role-key-file PATH",
    ),
    needs=("head_applied", "privileges_sufficient"),
    causes=("head_applied",),
)
