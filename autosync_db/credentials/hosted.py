"""A project on the hosted platform, as `rotate --auto` works on it: its Management API and the database's journal."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from uuid import UUID

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.connection import connect
from autosync_db.credentials import journal, store
from autosync_db.errors import AutosyncError, StoppedError, UsageError
from autosync_db.jobs import binding
from autosync_db.secret import Secret
from autosync_db.supabase.management import FunctionSecret, Management
from autosync_db.supabase.management_request import TOKEN_VARIABLE, WHERE_TOKENS_ARE


@dataclass(frozen=True, slots=True)
class Hosted:
    """The project of a configuration."""

    configuration: Configuration
    api: Management

    @property
    def ref(self) -> str:
        """The project's ref."""
        return self.api.project_ref

    def still_ours(self, token: UUID) -> None:
        """Return if this process may still act on an automatic rotation. Raises ConflictError if another took over."""
        with connect(self.configuration.target.database_url) as connection:
            journal.extend(connection, token)

    def variables_with(self, fingerprint: str | None) -> list[str]:
        """Return the names of the functions' variables that hold the credential with this fingerprint."""
        return [one.name for one in self.api.secrets() if _holds(one, fingerprint)]

    def renew_variables(self, fingerprint: str | None, new: Secret) -> list[str]:
        """Give the functions the new credential in every variable that holds the old one; return their names."""
        names = self.variables_with(fingerprint)
        if names:
            self.api.set_secrets(dict.fromkeys(names, new))
        return names


def of(configuration: Configuration) -> Hosted:
    """Return the project that the stored address, or the target, names. Raises UsageError when it cannot be asked."""
    with connect(configuration.target.database_url) as connection:
        store.require_history(connection)
        called = binding.called_ref(connection)
        bound = (binding.stored(connection) or {}).get("project_ref")
    named = configuration.target.project_ref
    if called and named and called != named:
        raise UsageError(
            f"the target is the project {named}, but the stored address is that of {called}",
            hint="choose the other target, or correct what is stored with: autosync-db setup",
        )
    ref = called or named or bound
    if ref is None:
        raise UsageError(
            "the project has no ref: only a project on Supabase's own platform has an API that makes keys",
            hint="make the new key where the old one was made, then: autosync-db rotate --from-file PATH;"
            " for a hosted project with an address of its own, put project_ref into its target",
        )
    api = config.management_of(ref)
    if api is None:
        raise UsageError(
            f"{TOKEN_VARIABLE} is not set, and no key can be made or deleted on the platform without it",
            hint=f"make an access token at {WHERE_TOKENS_ARE} and export {TOKEN_VARIABLE};"
            " or replace the key yourself: autosync-db rotate --from-file PATH",
        )
    return Hosted(configuration, api)


@contextmanager
def settled(settle: Callable[[BaseException], str]) -> Iterator[None]:
    """Let `settle` undo what can be undone when the block fails or is stopped; what is raised says how things stand.

    `settle` gets what was raised, and returns the words.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt, SystemExit) as cause:
        said = settle(cause)
        if isinstance(cause, KeyboardInterrupt):
            raise StoppedError(f"interrupted; {said}", hint="run: autosync-db rotate --auto") from None
        if isinstance(cause, AutosyncError):
            cause.add(said)
        raise


def _holds(variable: FunctionSecret, fingerprint: str | None) -> bool:
    # a fingerprint is the beginning of the digest that the platform shows
    return bool(fingerprint and variable.digest and len(fingerprint) >= 12 and variable.digest.startswith(fingerprint))
