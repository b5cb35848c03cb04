"""How things stand after a set-up that was stopped in the middle: looked up in the database, not remembered."""

from collections.abc import Mapping
from dataclasses import dataclass

import psycopg

from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, exists, rows
from autosync_db.credentials import lease, store
from autosync_db.jobs import registry
from autosync_db.schema import revisions
from autosync_db.secret import Secret
from autosync_db.setup import situation
from autosync_db.supabase import key

_JOBS = """
select c.jobname, c.schedule, c.active from cron.job as c where c.jobname = any(%s) order by c.jobname
"""


@dataclass(frozen=True, slots=True)
class Standing:
    """What is active in a database: `secrets` maps each stored name to whether it is what was given."""

    revision: str | None
    secrets: Mapping[str, bool]
    jobs: tuple[tuple[str, str, bool], ...]
    is_proven: bool
    unfinished: tuple[str, ...]

    def has(self, given: Mapping[str, Secret]) -> bool:
        """Return whether all that was given is active, so that a set-up goes on without being given it again."""
        return bool(self.secrets) and all(self.secrets.get(name) for name in given)

    @property
    def sentence(self) -> str:
        """Return all of it for people: schema, secrets, jobs, and whether a call has shown that they work."""
        # the migration comes first, and is one transaction
        if self.revision is None:
            return "nothing was changed: nothing of autosync-db is installed here"
        if self.revision != revisions.head():
            return f"nothing was changed: the schema is still at {self.revision}"
        parts = [f"the schema is at {self.revision}", *self._secrets()]
        for name, schedule, is_active in self.jobs:
            parts.append(f"the job {name} is " + (f"scheduled ({schedule})" if is_active else "paused"))
        if not self.jobs:
            parts.append("no job is scheduled")
        elif not self.secrets:
            parts.append("it has nothing to call with until setup is done")
        else:
            parts.append("its last call succeeded" if self.is_proven else "no call has proven it")
        if self.unfinished:
            parts.append(f"the change of {' and '.join(self.unfinished)} is not ended")
        return "; ".join(parts)

    def _secrets(self) -> list[str]:
        if not self.secrets:
            return ["no secret is stored"]
        given = [name for name, is_given in self.secrets.items() if is_given]
        others = [name for name, is_given in self.secrets.items() if not is_given]
        said = [f"the given {' and '.join(given)} {_are(given)} active"] if given else []
        return said + ([f"the {' and '.join(others)} of before {_are(others)} active"] if others else [])


def look(configuration: Configuration, given: Mapping[str, Secret]) -> Standing:
    """Return how things stand, by a connection of its own. Raises UnreachableError where nobody can say."""
    with connect(configuration.target.database_url) as connection:
        revision = revisions.current(connection)
        if revision != revisions.head():
            return Standing(revision, {}, (), False, ())
        configuration = registry.speaking(connection, configuration)
        return Standing(
            revision,
            _secrets(connection, given),
            _jobs(connection, list(configuration.settings.jobs)),
            situation.is_proven(connection, configuration.settings.main.name),
            tuple(dict.fromkeys(one.name for one in lease.unfinished(connection))),
        )


def _secrets(connection: Connection, given: Mapping[str, Secret]) -> dict[str, bool]:
    prints = {name: key.fingerprint(secret) for name, secret in given.items()}
    known = (store.PROJECT_URL, store.SERVICE_KEY, store.CRON_SECRET)
    stored = store.stored(connection)
    return {name: stored[name].fingerprint == prints.get(name) for name in known if name in stored}


def _jobs(connection: Connection, names: list[str]) -> tuple[tuple[str, str, bool], ...]:
    if not exists(connection, "cron.job"):
        return ()
    try:
        return tuple((name, schedule, active) for name, schedule, active in rows(connection, _JOBS, [names]))
    except psycopg.errors.InsufficientPrivilege:
        return ()


def _are(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"
