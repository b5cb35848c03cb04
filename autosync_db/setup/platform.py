"""What a set-up reads of the platform where an access token is set: the key that nobody gave, and what is deployed.

All of it can be left out: when the API cannot be asked, one step says so and the set-up goes on without.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autosync_db import config
from autosync_db.config import Configuration, JobSettings
from autosync_db.connection import Connection, connect, exists, value
from autosync_db.credentials import store
from autosync_db.errors import AutosyncError
from autosync_db.jobs import binding
from autosync_db.progress import Step
from autosync_db.secret import Secret
from autosync_db.setup import takeover
from autosync_db.setup.decision import Given
from autosync_db.supabase import address
from autosync_db.supabase import key as keys
from autosync_db.supabase.key import KeyKind
from autosync_db.supabase.management import LEGACY, ApiKey, Function, Management
from autosync_db.supabase.management_request import TOKEN_VARIABLE

# the first that fits, as names of keys
_OURS = (re.compile("autosync"), re.compile("cron"), re.compile("^default$"))
_LISTED = 8


@dataclass(frozen=True, slots=True)
class Stored:
    """What the database has already: the project that it calls, and which keys."""

    project_ref: str | None
    bound_ref: str | None
    key_kind: str | None
    has_gateway_key: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What the platform said: the key to use if none was given, and the steps that say what was seen."""

    service_key: Secret | None = None
    steps: tuple[Step, ...] = ()


def look(configuration: Configuration, given: Given) -> Found:
    """Return what the Management API says of the project that is set up; nothing where it is not to be asked.

    It is asked where an access token is set and the project is a hosted one. A key is read only if none was given and
    none is stored, or if the stored one is the key of the project that the database was bound to before. Raises
    UsageError for a token or an address of the API that cannot be one, and what connect() raises.
    """
    given_ref = address.ref_of(given.project_url) if given.project_url else None
    if not config.has_access_token() or (given.project_url and given_ref is None):
        return Found()
    with connect(configuration.target.database_url) as connection:
        stored = _stored(connection, configuration)
    management = config.management_of(given_ref or stored.project_ref)
    if management is None:
        return Found()
    functions = [job for job in configuration.settings.jobs.values() if job.kind == "function"]
    steps: list[Step] = []
    service_key = None
    try:
        if _wants_key(functions, given, stored, management.project_ref):
            service_key, said = _key(management)
            steps.append(Step("key", said, False))
        kind = stored.key_kind
        if chosen := service_key or given.service_key:
            kind = KeyKind.SECRET if chosen.reveal().startswith("sb_") else KeyKind.LEGACY
        if functions:
            deployed = {one.slug: one for one in management.functions() if one.is_active}
            steps += _deployed(functions, deployed, management.project_ref, kind, stored)
    except AutosyncError as error:
        steps.append(Step("platform", f"not asked further: {error.message}; {error.hint}", False))
    return Found(service_key, tuple(steps))


def choose(found: Sequence[ApiKey]) -> ApiKey | None:
    """Return the key that the calls are to carry: a secret one by its name, or the only one; never a public key.

    The legacy service_role key is for a project that has no other.
    """
    secret = [one for one in found if one.is_secret and one.value]
    for pattern in _OURS:
        if fitting := sorted((one for one in secret if pattern.search(one.name)), key=lambda one: one.name):
            return fitting[0]
    if secret:
        return secret[0] if len(secret) == 1 else None
    return next((one for one in found if one.kind == LEGACY and one.name == "service_role" and one.value), None)


def _wants_key(functions: Sequence[JobSettings], given: Given, stored: Stored, ref: str) -> bool:
    if given.service_key or not any(job.sends_service_key for job in functions):
        return False
    is_of_another = given.rebind and stored.bound_ref not in {None, ref}
    return stored.key_kind is None or is_of_another


def _key(management: Management) -> tuple[Secret | None, str]:
    """Return the project's key for the calls, and how it is said which it is."""
    found = management.api_keys(reveal=True)
    chosen = choose(found)
    if chosen is not None and chosen.kind == LEGACY and management.legacy_keys_enabled() is False:
        return None, f"the project {management.project_ref} has no secret key, and its legacy keys are off"
    if chosen is not None and chosen.value is not None:
        kind = "legacy" if chosen.kind == LEGACY else "secret"
        # judged as one that was given
        keys.inspect(chosen.value, project_ref=management.project_ref)
        return chosen.value, f"the {kind} key {chosen.name} of {management.project_ref}, read with {TOKEN_VARIABLE}"
    names = [one.name for one in found if one.is_secret]
    if not names:
        return None, f"the project {management.project_ref} has no key that a scheduled call could carry"
    listed = ", ".join(names[:_LISTED])
    return (
        None,
        f"several secret keys exist ({listed}): give one a name that contains autosync or cron, or pass the key",
    )


def _deployed(
    functions: Sequence[JobSettings], deployed: dict[str, Function], ref: str, key_kind: str | None, stored: Stored
) -> list[Step]:
    """Return a step for each function that is called, and a warning for what keeps a call from it."""
    steps = []
    seen: set[str] = set()
    for job in functions:
        slug = slug_of(job)
        found = deployed.get(slug)
        if slug not in seen and found is None:
            what = f"{slug} is not deployed: supabase functions deploy {slug} --project-ref {ref}"
            steps.append(Step("warning", what, False))
        elif slug not in seen and found is not None:
            gate = "verify_jwt " + ("unknown" if found.verify_jwt is None else "on" if found.verify_jwt else "off")
            state = "" if found.status == "ACTIVE" else f", {found.status.lower()}"
            steps.append(Step("function", f"{slug} is deployed: version {found.version}, {gate}{state}", False))
        seen.add(slug)
        if found is not None and found.verify_jwt and (sent := _no_jwt(job, key_kind, stored)):
            what = (
                f"{slug} has verify_jwt on, and the calls of {job.name} carry {sent}, which is not a JWT: the gateway"
                f" may refuse them. Put verify_jwt = false under [functions.{slug}] of supabase/config.toml, then:"
                f" supabase functions deploy {slug} --no-verify-jwt --project-ref {ref}"
            )
            steps.append(Step("warning", what, False))
    return steps


def slug_of(job: JobSettings) -> str:
    """Return the name under which a job's function is deployed; a path and a query may follow it."""
    return re.split(r"[/?]", job.function or "", maxsplit=1)[0]


def _no_jwt(job: JobSettings, key_kind: str | None, stored: Stored) -> str | None:
    """Return what a job's calls carry in place of a JWT, None where they carry one or it is not known."""
    if job.sends_service_key:
        return "an sb_secret_ key" if key_kind == KeyKind.SECRET else None
    if stored.has_gateway_key:
        return None
    return "no credential" if job.auth == "none" else "a secret of their own"


def _stored(connection: Connection, configuration: Configuration) -> Stored:
    has_facts = exists(connection, "autosync.service_key_facts()")
    kind = value(connection, "select k.kind from autosync.service_key_facts() as k") if has_facts else None
    known = takeover.expected(connection, configuration) | store.stored(connection)
    bound = binding.stored(connection)
    return Stored(
        project_ref=(bound or {}).get("project_ref") or binding.called_ref(connection),
        bound_ref=(bound or {}).get("project_ref"),
        key_kind=kind or (known[store.SERVICE_KEY].kind if store.SERVICE_KEY in known else None),
        has_gateway_key=store.GATEWAY_KEY in known,
    )
