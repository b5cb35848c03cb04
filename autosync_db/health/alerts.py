"""Who is notified of faults by the database itself: set, list, test and delete receivers.

What is said, and when, the database decides (sql/functions/autosync.note_job_states.sql). Addresses are secrets like
any other: they travel towards the database alone, and nothing of them is shown but a fingerprint.
"""

import time
from dataclasses import dataclass
from datetime import datetime

from autosync_db.config import HOUSEKEEPING_JOB, Configuration
from autosync_db.connection import Connection, connect, require, rows, value
from autosync_db.credentials import edit, store
from autosync_db.errors import UsageError
from autosync_db.health import receivers
from autosync_db.health.receivers import Kind
from autosync_db.jobs import registry
from autosync_db.secret import Secret
from autosync_db.supabase import key

# pg_net waits ten seconds for an answer, and looks into its queue once a second
PATIENCE_SECONDS = 20.0

_LIST = """
select r.kind, j.name, r.form, f.fingerprint, r.created_at, n.event, n.outcome, n.at, n.status_code, n.error_message,
    (select count(*) from autosync.alert as w where w.receiver_id = r.id and w.outcome in ('waiting', 'posted')),
    (select max(d.settled_at) from autosync.alert as d where d.receiver_id = r.id and d.outcome = 'delivered'),
    r.job_id is not null and j.id is null
from autosync.alert_receiver as r
left join autosync.job as j on j.id = r.job_id
left join autosync.secret_facts() as f on f.name = r.secret_name and not f.is_blank
left join lateral (
    select a.event, a.outcome, coalesce(a.settled_at, a.posted_at, a.created_at) as at, a.status_code, a.error_message
    from autosync.alert as a
    where a.receiver_id = r.id
    order by a.id desc
    limit 1
) as n on true
where (%(kind)s::text is null or r.kind = %(kind)s)
order by r.kind, r.job_id nulls first
"""
_FIND = """
select r.id from autosync.alert_receiver as r where r.kind = %s and r.job_id is not distinct from %s::integer
"""
_ORPHANS = """
select r.id, r.secret_name
from autosync.alert_receiver as r
where r.kind = %s and r.job_id is not null and not exists (select from autosync.job as j where j.id = r.job_id)
"""
_PUT = """
insert into autosync.alert_receiver as r (kind, job_id, form, secret_name) values (%s, %s, %s, %s)
on conflict on constraint alert_receiver_kind_job_id_key
do update set form = excluded.form, secret_name = excluded.secret_name
"""
_SAID = """
select a.outcome, a.status_code, a.error_message, (
    select left(autosync.excerpt(n.content), 120)
    from net._http_response as n
    where n.id = a.request_ids[cardinality(a.request_ids)] and n.created >= a.posted_at - interval '5 seconds'
)
from autosync.alert as a
where a.id = %s
"""
# what a heartbeat needs, by job: whether its newest finished tick proves that it went well
_PROVEN = """
select c.good_at, c.proven_at from autosync.job_condition(%s) as c
"""


@dataclass(frozen=True, slots=True)
class Receiver:
    """One receiver; `job` is None where it hears of all, `fingerprint` where its address is missing.

    `last_*` is its newest message, `waiting` how many are under way.
    """

    kind: Kind
    job: str | None
    form: str
    fingerprint: str | None
    created_at: datetime
    last_event: str | None
    last_outcome: str | None
    last_at: datetime | None
    last_status: int | None
    last_error: str | None
    waiting: int
    delivered_at: datetime | None
    is_orphaned: bool

    @property
    def name(self) -> str:
        """Return how the receiver is spoken of."""
        return f"{self.kind} of {'a job that was removed' if self.is_orphaned else self.job or 'all jobs'}"


@dataclass(frozen=True, slots=True)
class Set:
    """What became of a receiver: `stored`, `replaced`, `unchanged` or `deleted`.

    `unproven` are the jobs that hold a heartbeat back.
    """

    kind: str
    job: str | None
    form: str
    outcome: str
    fingerprint: str | None = None
    unproven: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Tested:
    """What a receiver answered to a test; `outcome` is `delivered` or says why not, `said` are its own words."""

    kind: str
    job: str | None
    outcome: str
    status_code: int | None
    error: str | None
    said: str | None

    @property
    def is_good(self) -> bool:
        """Whether the receiver took it."""
        return self.outcome == "delivered"


def put(configuration: Configuration, kind: Kind, job_name: str | None, address: Secret) -> Set:
    """Set a receiver for all jobs or for one. Raises SecretError or UsageError for what cannot be one."""
    form = receivers.form_of(kind, address)
    with connect(configuration.target.database_url) as connection:
        require(connection, "autosync.alert_receiver")
        number = _number_of(connection, job_name, kind)
        name = _secret_name(kind, number)
        edit.require_changeable(connection, configuration, name)
        with edit.undisturbed(connection, name):
            existed = name in store.stored(connection)
            changed = bool(store.store(connection, {name: address}))
            connection.execute(_PUT, [kind, number, form, name])
        unproven = _unproven(connection, configuration, job_name) if kind == "heartbeat" else ()
    outcome = "unchanged" if not changed else "replaced" if existed else "stored"
    return Set(kind, job_name, form, outcome, key.fingerprint(address), unproven)


def listed(connection: Connection, kind: Kind | None = None) -> list[Receiver]:
    """Return the receivers. Reads only; no value leaves the server."""
    require(connection, "autosync.alert_receiver")
    with store.refusals():
        return [Receiver(*found) for found in rows(connection, _LIST, {"kind": kind})]


def delete(configuration: Configuration, kind: Kind, job_name: str | None) -> Set:
    """Delete a receiver and its address; messages that it has not got are dropped.

    Raises UsageError where there is none.
    """
    with connect(configuration.target.database_url) as connection:
        require(connection, "autosync.alert_receiver")
        number = _number_of(connection, job_name, kind)
        identity = _identity(connection, kind, number, job_name)
        name = _secret_name(kind, number)
        edit.require_changeable(connection, configuration, name)
        with edit.undisturbed(connection, name):
            connection.execute("delete from autosync.alert_receiver as r where r.id = %s", [identity])
            store.delete(connection, name)
    return Set(kind, job_name, "", "deleted")


def delete_orphaned(configuration: Configuration, kind: Kind) -> int:
    """Delete the receivers whose jobs were removed, with their addresses; return how many."""
    with connect(configuration.target.database_url) as connection:
        require(connection, "autosync.alert_receiver")
        found = rows(connection, _ORPHANS, [kind])
        for _, name in found:
            edit.require_changeable(connection, configuration, name)
        with edit.undisturbed(connection, *(name for _, name in found)):
            for identity, name in found:
                connection.execute("delete from autosync.alert_receiver as r where r.id = %s", [identity])
                store.delete(connection, name)
    return len(found)


def test(configuration: Configuration, kind: Kind, job_name: str | None) -> Tested:
    """Send a test message and wait for what the receiver answers.

    Raises UsageError where there is no such receiver, SecretError for a heartbeat that would lie: it is a ping, and
    says that a job has just succeeded.
    """
    with connect(configuration.target.database_url) as connection:
        require(connection, "autosync.alert_receiver")
        identity = _identity(connection, kind, _number_of(connection, job_name, kind), job_name)
        with store.refusals():
            number = value(connection, "select autosync.test_alert(%s)", [identity])
        until = time.monotonic() + PATIENCE_SECONDS
        while True:
            connection.execute("select autosync.settle_alerts()")
            ((outcome, status, error, said),) = rows(connection, _SAID, [number])
            if outcome == "waiting":
                # behind an earlier one, such as that of a test that was interrupted
                connection.execute("select autosync.send_alerts(1000)")
            if outcome not in {"waiting", "posted"} or time.monotonic() > until:
                break
            time.sleep(0.2)
    if outcome == "waiting":
        error = "an earlier message to this receiver is under way"
    if outcome == "posted":
        error = "pg_net has not sent it: see autosync-db verify --only pg_net_worker_running"
    return Tested(kind, job_name, outcome, status, error, said)


def _number_of(connection: Connection, job_name: str | None, kind: Kind) -> int | None:
    if job_name is None:
        return None
    job = registry.find(connection, job_name)
    if job.name == HOUSEKEEPING_JOB:
        raise UsageError(
            "housekeeping sends the messages, so it cannot report that it does not run",
            hint="set a heartbeat for all jobs: its silence says so (autosync-db alerts set heartbeat)",
        )
    if kind == "heartbeat" and job.kind == "watch":
        raise UsageError(
            f"{job_name} is only watched, so no success can be proven",
            hint=f"take it over with: autosync-db jobs adopt {job_name}",
        )
    number: int = value(connection, "select j.id from autosync.job as j where j.name = %s", [job_name])
    return number


def _identity(connection: Connection, kind: Kind, number: int | None, job_name: str | None) -> int:
    identity: int | None = value(connection, _FIND, [kind, number])
    if identity is None:
        raise UsageError(
            f"there is no {kind} for {job_name or 'all jobs'}", hint="list them with: autosync-db alerts list"
        )
    return identity


def _secret_name(kind: Kind, number: int | None) -> str:
    return f"alert_{kind}" + (f"_{number}" if number is not None else "")


def _unproven(connection: Connection, configuration: Configuration, job_name: str | None) -> tuple[str, ...]:
    """Return the jobs whose newest good answer proves nothing, so that no heartbeat would follow it."""
    names = [job_name] if job_name else list(registry.registered(connection, configuration.settings).jobs)
    found = []
    for name in names:
        for good_at, proven_at in rows(connection, _PROVEN, [name]):
            if good_at is not None and proven_at is None:
                found.append(name)
    return tuple(found)
