"""Every function, trigger, policy, grant and job is as this version's files say."""

from autosync_db import objects, revision
from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection


def _look(connection: Connection, configuration: Configuration) -> list[Row]:
    at = revision.current(connection)
    if at is None:
        return [Row("unknown", "schema autosync", "was never migrated")]
    states = objects.states(connection, at, configuration.isolation)
    return [
        Row("critical" if state is objects.State.MISSING else "warning", path, _DETAILS[state])
        for path, state in states.items()
        if state is not objects.State.CURRENT
        and not path.startswith(_SPOKEN_FOR)
        and not (state is objects.State.EDITED and path in _EDITS_SPOKEN_FOR)
    ]


# objects with checks of their own, which say more of them
_SPOKEN_FOR = (
    "sql/extensions/",
    "sql/jobs/",
    "sql/access/public.pg_cron_secrets.sql",
    "sql/triggers/public.auto_sync_schedules.auto_sync_schedules_next_run_at.sql",
)
_EDITS_SPOKEN_FOR = ("sql/access/autosync.sql", "templates/access/public.auto_sync_schedules.sql.j2")
_DETAILS = {
    objects.State.MISSING: "is missing: never applied, or dropped since",
    objects.State.OUTDATED: "was applied from an older text of this file",
    objects.State.EDITED: "was changed in the database since it was applied",
}

CHECK = Check(
    layer="migrations",
    claim="every function, trigger, policy, grant and job is as this version's files say",
    remedy="autosync-db migrate",
    needs=("head_applied", "pg_cron_installed", "privileges_sufficient"),
    causes=("head_applied",),
    repairable=True,
    look=_look,
)
