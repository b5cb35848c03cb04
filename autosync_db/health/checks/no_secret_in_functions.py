"""No function, trigger, view, default, policy or setting holds a key in its text."""

from autosync_db.health.model import Check
from autosync_db.remedies import ByYou

CHECK = Check(
    layer="neighbours",
    claim="no function, trigger, view, default, policy or setting holds a key in its text",
    remedy=ByYou("let it read the key with autosync.read_secret() or from the vault", then="autosync-db rotate"),
    remedies={
        "setting": ByYou(
            "let what reads the setting read the key with autosync.read_secret() or from the vault, and reset the"
            " setting of the role or database that is named",
            then="autosync-db rotate",
        ),
    },
    needs=("head_applied", "privileges_sufficient"),
)
