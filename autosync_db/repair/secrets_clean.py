"""secrets_clean: take blanks and invisible characters out of the stored values, without reading them."""

from autosync_db.health.drafts import Repair, Scene
from autosync_db.repair import statement


def draft(_scene: Scene) -> list[Repair]:
    """Draft the repair of values with characters that no key and no address has; they stay on the server."""
    sentence = "take blanks and invisible characters out of the stored address and key"
    return [Repair(sentence, statement.fixed("secrets_clean"))]
