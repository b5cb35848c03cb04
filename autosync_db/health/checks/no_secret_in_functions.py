"""No function and no trigger holds a key in its text."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="neighbours",
    claim="no function and no trigger holds a key in its text",
    remedy=ByYou("let it read the key with autosync.read_secret() or from the vault", then="autosync-db rotate"),
    needs=("head_applied", "privileges_sufficient"),
)
