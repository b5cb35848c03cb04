"""pg_cron_not_blocked: end the sessions that hold what pg_cron waits for."""

import re

from autosync_db.repair import statement
from autosync_db.repair.model import Refusal, Repair, Scene


def draft(scene: Scene) -> list[Repair | Refusal]:
    """Draft the repair of a scheduler that waits for a lock; a standby is not ours to change."""
    holders = dict.fromkeys(re.findall(r"process (\d+) \(role", scene.findings))
    if not holders:
        way = "as a superuser run: alter system reset synchronous_standby_names; select pg_reload_conf()"
        return [Refusal("pg_cron waits for a standby, not for a session", way)]
    sentence = f"end process {', '.join(holders)}, which holds the lock: what it has not committed is lost"
    return [Repair(sentence, statement.fixed("pg_cron_not_blocked"), destructive=True, as_owner=scene.acts_as_owner)]
