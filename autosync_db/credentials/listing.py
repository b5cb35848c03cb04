"""What may be shown of the stored secrets: kind, age, and when a call last succeeded with them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from autosync_db.config import JobSettings
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.credentials import lease
from autosync_db.credentials import store as secret_store
from autosync_db.errors import unknown
from autosync_db.jobs import registry

# a bounded look back: the ledger keeps thousands of calls
_LAST_SUCCESS = """
select max(o.queued_at)
from autosync.recent_outcomes(%s, 200) as o
where o.cause = 'ok'
"""

_DELIVERED = """
select r.secret_name, (
    select max(a.settled_at) from autosync.alert as a where a.receiver_id = r.id and a.outcome = 'delivered'
)
from autosync.alert_receiver as r
"""


# what setup stores, and secrets set refuses
OF_SETUP = (secret_store.PROJECT_URL, secret_store.SERVICE_KEY, secret_store.CRON_SECRET)


@dataclass(frozen=True, slots=True)
class Listed:
    """One stored secret. `last_success_at`: the newest successful call since it was changed of a job that uses it.

    `is_address`: messages or heartbeats go there, and `last_success_at` is when one was taken.
    `is_unproven`: a rotation activated it and was not finished; `is_being_proven`: somebody still works on that.
    """

    name: str
    store: str
    kind: str
    fingerprint: str
    created_at: datetime
    changed_at: datetime
    is_needed: bool
    last_success_at: datetime | None
    is_unproven: bool
    is_being_proven: bool
    is_address: bool = False


def missing(connection: Connection, jobs: Mapping[str, JobSettings]) -> list[str]:
    """Return the secrets that these jobs need and that are not stored, by their settings until they are registered."""
    needed: set[str] = set()
    for name, settings in jobs.items():
        is_registered = secret_store.is_registered(connection, name)
        needed.update(secret_store.needed(connection, name) if is_registered else settings.needs)
    return sorted(needed - secret_store.stored(connection).keys())


def require_known(connection: Connection, name: str) -> None:
    """Return if a secret is stored, or needed by a job. Raises UsageError if not, with what was meant."""
    known = {*secret_store.stored(connection), *secret_store.needed(connection)}
    if name not in known:
        raise unknown("secret", name, known, hint="list them with: autosync-db secrets list")


def collect(connection: Connection, job_names: Iterable[str]) -> list[Listed]:
    """Return every stored secret by name, and which are used by these jobs or by any other that is registered.

    Reads only; no value leaves the server.
    """
    secret_store.require_history(connection)
    successes: dict[str, list[datetime]] = {}
    # who reads that no job uses it deletes it
    registered = [job.name for job in registry.all_jobs(connection)]
    showing = secret_store.showing_gateway_key(connection)
    for job_name in dict.fromkeys([*job_names, *registered]):
        succeeded_at: datetime | None = value(connection, _LAST_SUCCESS, [job_name])
        besides = [secret_store.GATEWAY_KEY] if job_name in showing else []
        for name in (*secret_store.needed(connection, job_name), *besides):
            successes.setdefault(name, []).extend([succeeded_at] if succeeded_at else [])
    for name, delivered_at in rows(connection, _DELIVERED) if exists(connection, "autosync.alert") else ():
        successes.setdefault(name, []).extend([delivered_at] if delivered_at else [])
    left = {one.name: one for one in lease.unfinished(connection)}
    return [
        Listed(
            one.name,
            one.store,
            one.kind,
            one.fingerprint,
            one.created_at,
            one.changed_at,
            one.name in successes,
            max((at for at in successes.get(one.name, ()) if at > one.changed_at), default=None),
            one.name in left,
            one.name in left and left[one.name].is_live,
            secret_store.is_address(one.name),
        )
        for one in secret_store.stored(connection).values()
    ]
