"""What a set-up is to do: decided from the situation, the settings and what was given, without any connection."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Literal
from urllib.parse import urlsplit

from autosync_db.config import Configuration, JobSettings, SecretAuth
from autosync_db.credentials import cron_secret, store
from autosync_db.credentials.cron_secret import Auth
from autosync_db.credentials.store import Store
from autosync_db.errors import SecretError, UsageError
from autosync_db.jobs import binding
from autosync_db.secret import Secret
from autosync_db.setup import refusals
from autosync_db.setup.situation import Situation
from autosync_db.supabase import address, key


@dataclass(frozen=True, slots=True)
class Given:
    """What the user gave a set-up; None for what is to stay as it is stored.

    `cron_secret` is one that the function knows already. `wait`: make a call and wait for its answer. `rebind`: bind
    the database to the project, whatever it was bound to before, and use nothing of another one's.
    """

    project_url: str | None = None
    service_key: Secret | None = None
    cron_secret: Secret | None = None
    wait: bool = True
    rebind: bool = False

    @property
    def rebind_to(self) -> str | None:
        """Return the ref of the project that the database is to be bound to again, None where none is named."""
        return address.ref_of(self.project_url) if self.rebind and self.project_url else None

    @property
    def secrets(self) -> dict[str, Secret]:
        """Return the address and the key by the names that they have in the store."""
        url = Secret(self.project_url) if self.project_url else None
        given = {store.PROJECT_URL: url, store.SERVICE_KEY: self.service_key}
        return {name: secret for name, secret in given.items() if secret}


class Switch(Enum):
    """When the calls change from one credential to the other."""

    NONE = "none"
    AT_ONCE = "at once"
    WHEN_ACCEPTED = "when accepted"  # until the function accepts the cron secret the service key stays active


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done with secrets, credential and binding; migration and job follow from the settings alone."""

    auth: Auth
    secrets: Mapping[str, Secret]  # to activate
    beside: Secret | None  # a cron secret to store while the calls go on with the service key
    switch: Switch
    is_secret_new: bool  # the cron secret is made here, so that the function cannot know it
    move_to: Store | None
    project_ref: str | None
    binds: bool  # the database is bound at the end, for the first time
    rebinds: bool  # the binding is replaced with the secrets, and put back with them
    must_be_proven: bool  # what is replaced may have worked, and is kept until a call has succeeded
    leaves: str | None  # the project whose copy gets one of its own here; it calls nobody before a call has proven that

    @property
    def moves(self) -> bool:
        """Whether a copy of another project gets one of its own."""
        return self.leaves is not None

    @property
    def all_secrets(self) -> dict[str, Secret]:
        """Return everything that is to be stored."""
        return {**self.secrets, **({store.CRON_SECRET: self.beside} if self.beside else {})}


def validate(project_url: str | None, service_key: Secret | None, configuration: Configuration) -> None:
    """Judge address and key by their form, before anything is contacted.

    Raises UsageError for the address and SecretError for the key; None stands for one that is already stored.
    """
    bound = configuration.target.project_ref
    if project_url is not None:
        address.check_url(project_url)
        ref = address.ref_of(project_url)
        if bound and ref != bound:
            raise UsageError(
                f"target {configuration.target.name!r} is bound to the project {bound}, not to {project_url}",
                hint="choose the other target, or change project_ref in the settings file",
            )
        bound = ref
    if service_key is not None:
        key.inspect(service_key, project_ref=bound)


def decide(situation: Situation, configuration: Configuration, given: Given, new_secret: Secret) -> Plan:
    """Return what is to be done; `new_secret` is the cron secret to use where one is needed and none is known.

    Raises MigrationError for a job whose name or whose calls somebody else's cron job has; UsageError for a schedule
    that pg_cron does not run, an address or a project that is not known or not the one that the database is bound to,
    and a cron secret that other jobs use; SecretError for a secret that is lacking or cannot be one.
    """
    settings = configuration.settings
    for refusal in refusals.of_jobs(settings, situation.taken, situation.doubles, situation.pg_cron_version):
        raise refusal
    auth = _auth(situation, settings.main)
    secrets: dict[str, Secret] = {}
    functions = [job for job in settings.jobs.values() if job.kind == "function"]
    ref = _project_ref(situation, given)
    leaves = _left(situation, given, ref)
    moves = leaves is not None
    if functions:
        secrets |= _address(situation, given)
    credentials = {_chosen(situation, job) if job is settings.main else job.auth for job in functions}
    if "service_key" in credentials or any(
        job.sends_service_key for job in functions if isinstance(job.auth, SecretAuth)
    ):
        secrets |= _service_key(situation, given, moves=moves)
        if given.service_key:
            key.inspect(given.service_key, project_ref=ref)
    if "cron_secret" in credentials:
        secrets |= _cron_secret(situation, given, new_secret, moves=moves)
    switch = _switch(situation, auth)
    if switch is not Switch.NONE:
        _require_unshared(situation, secrets)
    if not given.rebind:
        binding.require_same(situation.binding, ref)
    is_new = secrets.get(store.CRON_SECRET) == new_secret
    beside = secrets.pop(store.CRON_SECRET, None) if switch is Switch.WHEN_ACCEPTED else None
    replaced = secrets.keys() & situation.stored.keys()
    wanted_store = settings.secrets.store if "secrets" in settings.model_fields_set else situation.store
    return Plan(
        auth=auth,
        secrets=secrets,
        beside=beside,
        switch=switch,
        is_secret_new=is_new,
        move_to=wanted_store if wanted_store != situation.store else None,
        project_ref=ref,
        binds=not (situation.binding or {}).get("project_ref") and not moves and ref is not None,
        rebinds=bool(given.rebind and situation.binding) or moves,
        must_be_proven=situation.is_complete or bool(replaced & situation.needed_by_others) or moves,
        leaves=leaves,
    )


def _chosen(situation: Situation, job: JobSettings) -> Auth | SecretAuth | Literal["none"]:
    """Return the credential that the main job's calls are to carry: what is active, unless somebody chose one."""
    return job.auth if "auth" in job.model_fields_set else situation.auth


def _auth(situation: Situation, job: JobSettings) -> Auth:
    """Return which of the project's credentials is to be active for the main job."""
    chosen = _chosen(situation, job)
    return chosen if chosen == "service_key" or chosen == "cron_secret" else situation.auth


def _address(situation: Situation, given: Given) -> dict[str, Secret]:
    if given.project_url:
        return {store.PROJECT_URL: Secret(given.project_url)}
    if given.rebind and situation.database_ref:
        return {store.PROJECT_URL: Secret(address.url_of(situation.database_ref))}
    if given.project_url is None and store.PROJECT_URL not in situation.stored:
        raise UsageError(
            "the project's URL is not known",
            hint="pass --project-ref REF or --project-url URL, or put project_ref into autosync.toml",
        )
    return {}


def _service_key(situation: Situation, given: Given, *, moves: bool) -> dict[str, Secret]:
    before = situation.stored.get(store.SERVICE_KEY)
    if given.service_key:
        if moves and before and before.fingerprint == key.fingerprint(given.service_key):
            raise SecretError(
                "the given key is the one that the copy came with: it is another project's", hint=key.WHERE_TO_FIND
            )
        return {store.SERVICE_KEY: given.service_key}
    if moves and before:
        raise SecretError(
            "a copy needs its own key, and none was given: the stored one is another project's",
            hint="pass --service-role-key-file PATH (- reads standard input), or set SUPABASE_SERVICE_ROLE_KEY",
        )
    if given.service_key is None and store.SERVICE_KEY not in situation.stored:
        raise SecretError(
            "no service key was given and none is stored",
            hint="pass --service-role-key-file PATH (- reads standard input), or set SUPABASE_SERVICE_ROLE_KEY",
        )
    return {}


def _cron_secret(situation: Situation, given: Given, new_secret: Secret, *, moves: bool) -> dict[str, Secret]:
    if given.cron_secret is not None:
        cron_secret.inspect(given.cron_secret)
        return {store.CRON_SECRET: given.cron_secret}
    return {} if store.CRON_SECRET in situation.stored and not moves else {store.CRON_SECRET: new_secret}


def _switch(situation: Situation, auth: Auth) -> Switch:
    if situation.auth == auth:
        return Switch.NONE
    # calls that are made with the service key go on so until the function accepts the cron secret
    return Switch.WHEN_ACCEPTED if auth == "cron_secret" and situation.is_complete else Switch.AT_ONCE


def _require_unshared(situation: Situation, secrets: Mapping[str, Secret]) -> None:
    """Return unless a change to a cron secret takes the one of another job away, for which no call is proof."""
    name = store.CRON_SECRET
    if name not in secrets or name not in situation.stored or name not in situation.needed_by_others:
        return
    if situation.stored[name].fingerprint != key.fingerprint(secrets[name]):
        raise UsageError(
            "another job's calls carry the cron secret that is stored",
            hint="leave --cron-secret-file out, and replace it afterwards with: autosync-db rotate",
        )


def _project_ref(situation: Situation, given: Given) -> str | None:
    """Return the ref of the project that this database is to call, None when nobody has named it.

    What is stored names it only if the database's own address confirms it: it may be a copy's. That address names it
    also for a project that is called by a domain of its own.
    """
    own = situation.database_ref
    if given.project_url:
        ref = address.ref_of(given.project_url)
        if ref and own and ref != own:
            raise UsageError(
                f"this is the database of the project {own}, not of {ref}", hint=f"pass --project-ref {own}"
            )
        if own and not situation.is_near and address.is_private(given.project_url):
            raise UsageError(
                f"the hosted database of {own} cannot reach {given.project_url}",
                hint=f"pass --project-ref {own}, or the database of the stack on this machine: --target supabase",
            )
        return ref or own
    if given.rebind and own is None:
        raise UsageError("the project to bind to is not known", hint="pass --project-ref REF with --rebind")
    return own if given.rebind or situation.called_ref == own else None


def _left(situation: Situation, given: Given, ref: str | None) -> str | None:
    """Return the project that a copy of it leaves for its own, None for any other database.

    Raises UsageError for a copy that was not asked to.
    """
    if situation.inherited and not given.rebind:
        raise binding.refused(situation.inherited)
    source = (situation.binding or {}).get("project_ref") or situation.called_ref
    if source is None and ref is None and given.project_url:
        # two addresses that name no project are two projects where somebody says so
        host = urlsplit(given.project_url).hostname
        source = situation.called_host if situation.called_host != host else None
    return source if given.rebind and source != ref else None
