"""What a set-up finds in the database: read in one go, and again when the migration has changed something."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from autosync_db.config import Configuration
from autosync_db.connection import Connection, exists, rows, value
from autosync_db.credentials import cron_secret, lease, store, vault
from autosync_db.credentials.cron_secret import Auth
from autosync_db.credentials.store import Store, StoredSecret
from autosync_db.jobs import binding, calls, doubles, registry, undeclared
from autosync_db.jobs.binding import Inherited
from autosync_db.jobs.calls import Cause
from autosync_db.jobs.doubles import Double
from autosync_db.schema import preflight
from autosync_db.setup import takeover
from autosync_db.supabase import address

_TRANSACTION_POOLER = 6543


@dataclass(frozen=True, slots=True)
class Situation:
    """A database before a set-up: what decide() needs to know of it."""

    pg_cron_version: str | None
    auth: Auth
    store: Store
    stored: Mapping[str, StoredSecret]
    needed: frozenset[str]  # the names that the job's ticks read
    needed_by_others: frozenset[str]  # and those of all other jobs
    binding: Mapping[str, Any] | None
    called_ref: str | None  # the project that the stored address names
    database_ref: str | None  # the project that the database's own address names
    taken: tuple[str, ...] = ()  # names of the settings that cron jobs of somebody else have
    inherited: Inherited | None = None  # what the database is a copy of
    doubles: tuple[Double, ...] = ()  # what cron jobs of somebody else do already
    called_host: str | None = None  # the host that the stored address names
    is_near: bool = False  # the server is on this machine or a private network, and may reach what is there

    @property
    def is_complete(self) -> bool:
        """Whether everything is stored that a call is made with."""
        return self.needed <= self.stored.keys()


def read(connection: Connection, configuration: Configuration, project_ref: str | None = None) -> Situation:
    """Return what is there, on a database of any revision, which somebody says belongs to a project.

    Raises what preflight.check() raises when the toolkit cannot be installed here, ConflictError when somebody is at
    work on a rotation, and SecretError when the settings want a vault that cannot be used.
    """
    settings = configuration.settings
    preflight.check(connection)
    active_store = store.store_of(connection)
    if "secrets" in settings.model_fields_set and settings.secrets.store == "vault" != active_store:
        vault.require(connection)
    lease.require_idle(connection)
    return Situation(
        pg_cron_version=preflight.pg_cron_version(connection),
        auth=cron_secret.active_auth(connection, settings.main.name),
        store=active_store,
        stored=takeover.expected(connection, configuration) | store.stored(connection),
        needed=frozenset(store.needed(connection, settings.main.name)),
        needed_by_others=_needed_by_others(connection, settings.main.name),
        binding=binding.stored(connection),
        called_ref=binding.called_ref(connection),
        database_ref=binding.ref_of_database(connection),
        taken=tuple(registry.taken(connection, settings, undeclared.declared_jobs(configuration))),
        inherited=binding.inherited(connection, configuration.target, project_ref),
        doubles=tuple(doubles.of_new_jobs(connection, settings, configuration.target.project_url)),
        called_host=address.host_in(binding.called_url(connection)),
        is_near=not (at := connection.info.hostaddr) or address.is_private(f"//{at}"),
    )


def describe(connection: Connection) -> str:
    """Return in a few words which server this is, and as whom it is used."""
    info = connection.info
    version = ".".join(str(part) for part in divmod(info.server_version, 10000))
    pooled = ", through the transaction pooler" if info.port == _TRANSACTION_POOLER else ""
    return (
        f"PostgreSQL {version}, pg_cron {preflight.pg_cron_version(connection)},"
        f" {info.user} at {info.host or 'the local socket'}:{info.port}{pooled}"
    )


def seen(first: Situation, latest: Situation, names: Iterable[str]) -> dict[str, str | None]:
    """Return what is to be found unchanged where these names are stored: what was there when the set-up began to look.

    A migration in between takes secrets of the guide's job along, which cannot be known before.
    """
    by_name: dict[str, str | None] = {}
    for name in names:
        is_taken_along = name in first.stored and not first.stored[name].fingerprint
        there = (latest if is_taken_along else first).stored.get(name)
        by_name[name] = there.fingerprint if there else None
    return by_name


def has_worked(connection: Connection, job_name: str) -> bool:
    """Return whether the job's newest answered call was a success; the database must be at head."""
    answered = (
        call for call in calls.recent(connection, job_name, 50) if call.cause not in {Cause.PENDING, Cause.LOST}
    )
    newest = next(answered, None)
    return newest is not None and newest.cause is Cause.OK


def is_proven(connection: Connection, job_name: str) -> bool:
    """Return whether the newest call was a success and nothing that it depends on has changed since."""
    newest = next(iter(calls.recent(connection, job_name, 1)), None)
    if newest is None or newest.cause is not Cause.OK:
        return False
    changed_at = value(
        connection,
        "select greatest((select max(f.changed_at) from autosync.secret_facts() as f where f.name = any(%s)),"
        " (select updated_at from autosync.job where name = %s),"
        " (select updated_at from autosync.setting where name = %s))",
        [list(store.needed(connection, job_name)), job_name, cron_secret.SETTING],
    )
    return bool(newest.queued_at > changed_at)


def _needed_by_others(connection: Connection, job_name: str) -> frozenset[str]:
    if not exists(connection, "autosync.needed_secrets(text)"):
        return frozenset()
    found = rows(
        connection,
        "select distinct n.name from autosync.job as j cross join unnest(autosync.needed_secrets(j.name)) as n (name)"
        " where j.name <> %s",
        [job_name],
    )
    return frozenset(name for (name,) in found)
