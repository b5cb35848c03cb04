"""The stored secrets hold no blanks and no invisible characters."""

from autosync_db.health import drafts
from autosync_db.health.model import Check, Repair, Scene


def _draft(_scene: Scene) -> list[Repair]:
    """Take blanks and invisible characters out of the stored values, without reading them."""
    sentence = "take blanks and invisible characters out of the stored address and key"
    # a rotation that ends in between would be undone: the old value, cleaned, would take the place of the new one
    alone = drafts.text("lock table autosync.secret_rotation in share row exclusive mode")
    return [Repair(sentence, [alone, *drafts.fixed("secrets_clean")])]


CHECK = Check(
    layer="secrets",
    claim="the stored secrets hold no blanks and no invisible characters",
    remedy="autosync-db repair secrets_clean",
    needs=("head_applied", "secrets_present"),
    repair=_draft,
)
