"""Every function, trigger, policy, grant and job is as this version's files say."""

from autosync_db import migrate, objects
from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection


def _look(connection: Connection, configuration: Configuration) -> list[Row]:
    revision = migrate.current_revision(connection)
    if revision is None:
        return [Row("unknown", "schema autosync", "was never migrated")]
    states = objects.states(connection, revision, configuration.isolation)
    return [
        Row("critical" if state is objects.State.MISSING else "warning", path, _DETAILS[state])
        for path, state in states.items()
        if state is not objects.State.CURRENT and not path.startswith(_SPOKEN_FOR)
    ]


# objects with checks of their own, which say more of them
_SPOKEN_FOR = ("sql/extensions/", "sql/jobs/", "sql/access/public.pg_cron_secrets.sql")
_DETAILS = {
    objects.State.MISSING: "is missing: never applied, or dropped since",
    objects.State.OUTDATED: "was applied from an older text of this file",
    objects.State.EDITED: "was changed in the database since it was applied",
}

CHECK = Check(
    layer="migrations",
    claim="every function, trigger, policy, grant and job is as this version's files say",
    remedy="autosync-db migrate",
    needs=("head_applied", "pg_cron_installed"),
    causes=("head_applied",),
    repairable=True,
    look=_look,
)
