"""The secrets that a cron job takes along when it is taken over, and where its text has them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from autosync_db.config import GUIDE_JOB, JobSettings, SecretAuth
from autosync_db.connection import Connection
from autosync_db.credentials import store
from autosync_db.errors import MigrationError
from autosync_db.jobs.found import DatabaseFacts
from autosync_db.jobs.importing import Imported
from autosync_db.jobs.texts.sources import GATEWAY_KEY, PROJECT_URL, PUBLIC_KINDS, SERVICE_KEY, Source, Take
from autosync_db.jobs.texts.sql_values import Origin, Text
from autosync_db.secret import Secret

Stored = Mapping[str, str]  # the names of the stored secrets, with found.stored_fingerprints()


def to_store(
    connection: Connection,
    settings: JobSettings,
    understood: Imported,
    given: Mapping[str, Secret],
    *,
    prefers_text: bool,
    address: str | None = None,
) -> dict[str, Source]:
    """Return the secrets that the job needs and that are to be stored, from where its text has them.

    `address` is that of the project by the settings, for a text that does not say it.

    Raises MigrationError for one that is neither stored nor found in the text.
    """
    stored = set(store.stored(connection))
    by_name = {take.name: take for take in understood.takes}
    project = understood.translation.project if understood.translation else None
    takes: dict[str, Source] = {}
    missing: list[str] = []
    for name in settings.needs:
        source: Source | None = given.get(name) or (_project_source(project) if name == PROJECT_URL else None)
        if source is None and (take := by_name.get(name) or _shown_in(settings, understood.takes)) is not None:
            source = take.source if name != PROJECT_URL else None
        if source is None and name == PROJECT_URL and address and name not in stored:
            source = Secret(address)
        is_new = name not in stored or name in given or (prefers_text and not _is_in_place(source, name))
        if source is not None and is_new:
            takes[name] = source
        elif name not in stored:
            missing.append(name)
    if missing:
        raise MigrationError(
            f"the cron job {settings.name} cannot be taken over: {' and '.join(missing)} "
            f"{'is' if len(missing) == 1 else 'are'} not stored, and its text does not say where to find it"
            + (f" ({understood.reason})" if understood.reason else "")
            + "; nothing was changed",
            hint=_how_to_store(missing[0], settings, understood),
        )
    if isinstance(settings.auth, SecretAuth) and GATEWAY_KEY in by_name and GATEWAY_KEY not in stored:
        takes[GATEWAY_KEY] = by_name[GATEWAY_KEY].source
    return takes


@dataclass(frozen=True, slots=True)
class Pasted:
    """The secrets in a text: those `named` in the store once the job is taken over, and the others."""

    named: Mapping[str, Secret]
    homeless: tuple[Secret, ...]


def pasted(understood: Imported, takes: Mapping[str, Source], facts: DatabaseFacts, stored: Stored) -> Pasted:
    """Return the secrets that a text holds; a public key that is not stored may stay in it."""
    names = {one: name for name, one in takes.items() if isinstance(one, Secret)}
    in_store = {value: name for name, value in stored.items() if name not in takes}
    named: dict[str, Secret] = {}
    homeless: list[Secret] = []
    # what a function has, is in no text that is kept
    for take in understood.takes if understood.kind != "helper" else ():
        if not isinstance(take.source, Secret):
            continue
        name = names.get(take.source) or in_store.get(facts.fingerprint(take.source) or "")
        if name is not None:
            named[name] = take.source
        elif take.kind not in PUBLIC_KINDS:
            homeless.append(take.source)
    return Pasted(named, tuple(homeless))


def replaced(
    settings: JobSettings, understood: Imported, takes: Mapping[str, Source], facts: DatabaseFacts, stored: Stored
) -> Iterator[str]:
    """Yield the names of the stored secrets that the job will send instead of other values, which its text shows."""
    by_name = {take.name: take for take in understood.takes}
    for name in settings.needs:
        take = by_name.get(name) or _shown_in(settings, understood.takes)
        if name == PROJECT_URL or name in takes or take is None:
            continue
        value = facts.fingerprint(take.source)
        if value is not None and stored.get(name, value) != value:
            yield name


def described(source: Source) -> str:
    """Return where a secret is, in words that hold nothing of it."""
    return str(source) if isinstance(source, Origin) else "its text"


def _is_in_place(source: Source | None, name: str) -> bool:
    """Return whether a text reads a secret from where it is stored."""
    return source is None or (
        isinstance(source, Origin)
        and source.table.rpartition(".")[2] == "pg_cron_secrets"
        and source.conditions == (("name", name),)
    )


def _shown_in(settings: JobSettings, takes: tuple[Take, ...]) -> Take | None:
    """Return the secret of the text that the settings call otherwise: the only one besides the gateway's."""
    if settings.auth in {"service_key", "none"}:
        return None
    own = [take for take in takes if take.name not in {GATEWAY_KEY, SERVICE_KEY}]
    return own[0] if len(own) == 1 else None


def _project_source(project: Text | None) -> Source | None:
    if project is None or len(project.parts) != 1:
        return None
    part = project.parts[0]
    return part if isinstance(part, Origin) else Secret(str(part).rstrip("/")) if isinstance(part, str) else None


def _how_to_store(name: str, settings: JobSettings, understood: Imported) -> str:
    if name not in {SERVICE_KEY, PROJECT_URL}:
        return f"store it with: autosync-db secrets set {name}"
    if settings.name == GUIDE_JOB:
        return "store it with: autosync-db setup --project-ref REF --service-role-key-file PATH"
    number = "" if understood.job.name == settings.name else f" --from {understood.job.id}"
    # of the two only what its calls need
    key = " --service-role-key-file PATH" if settings.sends_service_key else ""
    return f"pass it: autosync-db jobs adopt {settings.name}{number} --project-url URL{key}"
