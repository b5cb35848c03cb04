"""Put secrets back that were lost or spoiled, from what is known of the project, proven by a real call."""

from collections.abc import Callable, Collection
from dataclasses import replace
from uuid import uuid4

from autosync_db.config import Configuration
from autosync_db.connection import Connection
from autosync_db.credentials import known, lease, proof, store
from autosync_db.credentials.known import KnownKey
from autosync_db.errors import SecretError
from autosync_db.health.model import Refusal, Restoration, Scene
from autosync_db.jobs import registry
from autosync_db.secret import Secret
from autosync_db.supabase import address, key

_NO_ADDRESS = "neither the target's settings nor a call that succeeded name the project's address"
_NO_KEY = "no service key is at hand"


def draft(scene: Scene, names: Collection[str]) -> list[Restoration | Refusal]:
    """Return what puts these secrets back, or why they cannot be. Raises SecretError for a key that can be none."""
    found = known.address(scene.connection, scene.configuration)
    parts: list[str] = []
    refused: list[Restoration | Refusal] = []
    if store.PROJECT_URL in names:
        if found is None:
            refused.append(Refusal(_NO_ADDRESS, "run: autosync-db setup --project-url URL"))
        else:
            address.check_url(found.url)
            parts.append(f"the address {found.url} ({found.source})")
    if store.SERVICE_KEY in names:
        if scene.known is None:
            way = "run: autosync-db repair secrets_present --service-role-key-file PATH"
            refused.append(Refusal(_NO_KEY, way))
        else:
            facts = key.inspect(scene.known.key, project_ref=address.ref_of(found.url) if found else None)
            parts.append(f"the service key {facts.fingerprint} (from {scene.known.source})")
    if refused:
        return refused
    seen = store.look(scene.connection, names)
    return [Restoration(f"store {' and '.join(parts)}, and prove it by a call", seen)]


def restore(
    connection: Connection,
    configuration: Configuration,
    names: Collection[str],
    job: str | None,
    at_hand: KnownKey | None,
    say: Callable[[str], None] | None = None,
    *,
    seen: store.Seen | None = None,
) -> None:
    """Activate what is known and prove it by a call of `job`. Raises SecretError when it is refused: all is as it was.

    Raises ConflictError, too, when somebody else stored another value since the repair was drafted (`seen`).
    What a call neither proves nor refuses stays active and is reported by rotation_finished: it takes the place of
    something that could not work.
    """
    values: dict[str, Secret] = {}
    found = known.address(connection, configuration)
    if store.PROJECT_URL in names and found is not None:
        values[store.PROJECT_URL] = Secret(found.url)
    if store.SERVICE_KEY in names and at_hand is not None:
        values[store.SERVICE_KEY] = at_hand.key
    if values.keys() != set(names):
        raise SecretError("the address or key to restore is no longer available", hint="run: autosync-db setup")
    speaking = _prover(registry.speaking(connection, configuration), job)
    token = uuid4()
    with lease.undone_when_interrupted(configuration, token, values):
        if lease.begin(connection, values, token=token, seen=seen) is None:
            return
        prove = proof.by_dispatch(speaking, say or (lambda text: None))
        proven = prove(connection, lease.keeper(connection, token))
    proof.conclude(connection, token, proven, " and ".join(names), leave_unclear=True)
    known.keep_address(connection)


def _prover(configuration: Configuration, job: str | None) -> Configuration:
    """Return the configuration with a main job whose calls go to the project's address."""
    settings = configuration.settings
    functions = [name for name, found in settings.jobs.items() if found.kind == "function"]
    chosen = job if job in functions else None if settings.main.kind == "function" else next(iter(functions), None)
    return replace(configuration, settings=settings.only([chosen])) if chosen else configuration
