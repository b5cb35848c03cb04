"""A random secret that the function alone knows: the credential of the calls of jobs with auth = "cron_secret".

It opens one function and nothing else, so that whoever reads it in pg_net's queue has little. It is made here and kept
beside the project URL; the function gets it as a variable, from a file that only its owner can read. A new one is
first stored beside the active one (NEXT), so that the function can get both before the calls change.
"""

import re
import secrets
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.connection import Connection, connect, exists, setting, value
from autosync_db.credentials import journal, lease, rotation, store
from autosync_db.credentials.lease import Replacement
from autosync_db.credentials.rotation import Result, Subject
from autosync_db.errors import SecretError, UsageError
from autosync_db.progress import Reporter
from autosync_db.secret import Secret
from autosync_db.supabase import function, key, whole_file

Auth = Literal["service_key", "cron_secret"]
HEADER = function.CRON_SECRET_HEADER
VARIABLE = "AUTOSYNC_CRON_SECRET"
NOUN = "cron secret"
NEXT = store.CRON_SECRET_NEXT
SETTING = "function_auth"
_BYTES = 32
# what stands in a variable, in a list with commas and in a header without any quoting
_FORM = re.compile(r"[A-Za-z0-9_-]{32,200}")
_LINE = re.compile(rf"\s*(export\s+)?{VARIABLE}\s*=")
_FILE = "cron.env"
_CHOOSE = 'set auth = "cron_secret" in the job\'s table of autosync.toml'
_AUTH = "select autosync.function_auth(%s)"


def generate() -> Secret:
    """Return a new secret of 256 random bits."""
    return Secret(secrets.token_urlsafe(_BYTES))


def inspect(value: Secret, _project_ref: str | None = None) -> None:
    """Return if `value` can be a cron secret. Raises SecretError, which never quotes it, when it cannot."""
    if key.LOOKS_SECRET.search(value.reveal()) or value.reveal().startswith("sb_"):
        raise SecretError(
            "this is a key of a project, not a cron secret", hint="make one with: autosync-db rotate --generate"
        )
    if not _FORM.fullmatch(value.reveal()):
        raise SecretError(
            "a cron secret has at least 32 letters, digits, _ and -",
            hint="make one with: autosync-db rotate --generate",
        )


def active_auth(connection: Connection, job_name: str) -> Auth:
    """Return how the job's function knows its caller, as the database has it."""
    if not exists(connection, "autosync.function_auth(text)"):
        return "service_key"
    return "cron_secret" if value(connection, _AUTH, [job_name]) == "cron_secret" else "service_key"


def new_setting(connection: Connection, job_name: str, auth: Auth) -> dict[str, Any]:
    """Return the whole row of autosync.setting with which the job has `auth`; other jobs keep theirs.

    To be called in the transaction that writes the row: nobody else changes it until that ends.
    """
    return {**setting.locked(connection, SETTING), job_name: auth}


def activate(connection: Connection, job_name: str, auth: Auth) -> None:
    """Let the job's calls carry this credential from now on."""
    setting.merge(connection, SETTING, {job_name: auth})


def reveal(connection: Connection, name: str) -> Secret | None:
    """Return a value that the function must get or is called with: one of CRON_SECRET, NEXT and GATEWAY_KEY."""
    assert name in {store.CRON_SECRET, NEXT, store.GATEWAY_KEY}
    found = store.read(connection, name)
    return None if found is None else Secret(found)


def subject(configuration: Configuration) -> Subject:
    """Return what a rotation must know of the cron secret of this project."""

    def headers(value: Secret) -> dict[str, str]:
        with connect(configuration.target.database_url) as connection:
            return call_headers(connection, value)

    advice = f"give it to the function first: {hand_over(configuration)}"
    return Subject(store.CRON_SECRET, NOUN, headers, inspect, advice)


def call_headers(connection: Connection, value: Secret) -> dict[str, str]:
    """Return the headers that carry a cron secret, as autosync.dispatch() sends them."""
    gateway_key = reveal(connection, store.GATEWAY_KEY)
    return {HEADER: value.reveal(), **(key.headers(gateway_key) if gateway_key else {})}


def rotate(configuration: Configuration, *, reporter: Reporter, preflight: bool = True) -> Result:
    """Make a new cron secret at the first call, and at the second activate it and prove it.

    In between the function must get it (`hand_over`). Raises SecretError when the function does not accept it yet; the
    previous one is active then, and the new one stays where it was. Without a cron secret: UsageError.
    One that a killed rotation activated is proven, and none is made.
    """
    url = configuration.target.database_url
    with connect(url) as connection:
        _require_use(connection, configuration)
        with store.changing(connection):
            lease.stand_alone(connection)
            journal.require_none(connection)
            lease.require_idle(connection)
            following, is_new = _following(connection)
            if is_new:
                store.store(connection, {NEXT: following})
                return Result("generated", (Replacement(NEXT, None, key.fingerprint(following)),))
    result = rotation.replace(configuration, subject(configuration), following, preflight=preflight, reporter=reporter)
    with connect(url) as connection, store.changing(connection):
        lease.stand_alone(connection)
        # somebody may have made another one since
        if reveal(connection, NEXT) == following:
            store.delete(connection, NEXT)
    return result


def prepare_next(connection: Connection) -> Secret:
    """Return the secret that a rotation is to activate; where none is stored beside the active one, it is made."""
    with store.changing(connection):
        lease.stand_alone(connection)
        following, is_new = _following(connection)
        if is_new:
            store.store(connection, {NEXT: following})
        return following


def listed(values: Iterable[Secret]) -> Secret:
    """Return what the function's variable holds for these secrets."""
    return Secret(",".join(value.reveal() for value in values))


def _require_use(connection: Connection, configuration: Configuration) -> None:
    store.require_history(connection)
    store.require_chosen(connection, configuration)
    job_name = configuration.settings.main.name
    if active_auth(connection, job_name) != "cron_secret":
        raise UsageError(
            f"the function of {job_name} knows its caller by the service key, which cannot be made here",
            hint=f"{_CHOOSE} and run autosync-db setup, or pass --from-file PATH",
        )


def _following(connection: Connection) -> tuple[Secret, bool]:
    """Return the cron secret to prove, and whether it was made just now."""
    active, following = reveal(connection, store.CRON_SECRET), reveal(connection, NEXT)
    if active and any(one.name == store.CRON_SECRET for one in lease.unfinished(connection)):
        return active, False
    if following is None or following == active:
        return generate(), True
    return following, False


def known(connection: Connection) -> list[Secret]:
    """Return what the function must accept: the active secret, what a rotation would put back, and the next one.

    Raises SecretError when none is stored.
    """
    found = [
        reveal(connection, store.CRON_SECRET),
        lease.kept(connection, store.CRON_SECRET),
        reveal(connection, NEXT),
    ]
    values = list(dict.fromkeys(value for value in found if value is not None))
    if not values:
        raise SecretError("no cron secret is stored", hint=f"{_CHOOSE}, then run: autosync-db setup")
    return values


def write_environment(path: Path, values: Iterable[Secret]) -> bool:
    """Put the function's variable into an environment file that only its owner can read; return whether it changed.

    Other lines of a file that exists are kept. Raises UsageError when it cannot be written.
    """
    line = f"{VARIABLE}={listed(values).reveal()}"
    if path.exists() and not path.is_file() and not path.is_dir():
        # it would be shown on a terminal and in the log of a pipeline, and `supabase secrets set` reads nothing from it
        raise UsageError(f"{path} is no regular file", hint="choose another file, such as cron.env")
    try:
        before = path.read_bytes().decode() if path.exists() else ""
        ending = "\r\n" if "\r\n" in before else "\n"
        after = "".join(one + ending for one in (*_others(before), line))
        if after == before and path.stat().st_mode & 0o077 == 0:
            return False
        whole_file.write(path, after, replace=True, mode=0o600)
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}", hint="choose another file") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not a text file", hint="choose another file") from None
    return True


def hand_over(configuration: Configuration) -> str:
    """Return the command that gives the function its cron secret, without showing it to anybody.

    It deletes the file afterwards, unless that holds something else.
    """
    target = "" if configuration.target.name == "default" else f" --target {configuration.target.name}"
    if configuration.target.name == config.LOCAL_TARGET:
        return f"autosync-db secrets env {config.local_folder() / 'functions.env'}{target}"
    try:
        is_shared = bool(_others(Path(_FILE).read_text(encoding="utf-8")))
    except (OSError, UnicodeDecodeError):
        is_shared = False
    commands = f"autosync-db secrets env {_FILE}{target} && supabase secrets set --env-file {_FILE}"
    return commands if is_shared else f"{commands}; rm -f {_FILE}"


def _others(text: str) -> list[str]:
    """Return the lines of an environment file that do not set the function's variable."""
    return [line for line in text.splitlines() if not _LINE.match(line)]
