"""Where a secret comes from: a file, standard input, the environment or a hidden prompt; never the command line."""

import codecs
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.errors import UsageError
from autosync_db.secret import Secret

if TYPE_CHECKING:
    from autosync_db.credentials.known import KnownKey

KEY_VARIABLE = "SUPABASE_SERVICE_ROLE_KEY"
# a device or a wrong file would fill the memory
_MOST_BYTES = 2**20
# what editors of Windows write before a text, and what a page puts around one that is copied from it
_UNSEEN = "\ufeff\u00ad\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2061\u2062\u2063\u2064"
KeyFile = Annotated[
    str | None, typer.Option(help="File that holds the service key; - reads standard input.", metavar="PATH")
]
KeyVariable = Annotated[
    str | None,
    typer.Option(help=f"Environment variable that holds the service key [default: {KEY_VARIABLE}].", metavar="VAR"),
]
FromFile = Annotated[
    str | None, typer.Option("--from-file", help="File that holds the value; - reads standard input.", metavar="PATH")
]
FromEnv = Annotated[str | None, typer.Option("--from-env", help="Variable that holds the value.", metavar="VAR")]


def service_key(session: Session, path: str | None, named: str | None) -> "KnownKey | None":
    """Return the service key from the file, standard input, the environment or the target; None where none has it."""
    from autosync_db import config
    from autosync_db.credentials.known import KnownKey

    noun = "service key"
    if path is not None:
        return KnownKey(read(path, noun), "standard input" if path == "-" else f"the file {path}")
    if named is not None:
        return KnownKey(variable(named, noun), f"the variable {named}")
    if (found := config.environment_secret(KEY_VARIABLE)) is not None:
        return KnownKey(found, f"the variable {KEY_VARIABLE}")
    if (file := session.configuration.target.service_role_key_file) is not None:
        return KnownKey(read(str(file), noun), f"the target's file {file}")
    return None


def chosen(session: Session, from_file: str | None, from_env: str | None, noun: str) -> Secret:
    """Return the secret from the one place that was named, or from a hidden prompt on a terminal.

    Raises UsageError when nobody can be asked, or the place cannot be read.
    """
    if from_file is not None and from_env is not None:
        raise UsageError("--from-file and --from-env exclude each other", hint="pass one of them")
    if from_file is not None:
        return read(from_file, noun)
    if from_env is not None:
        return variable(from_env, noun)
    if not session.can_ask:
        raise UsageError(
            f"the {noun} was not given", hint="pass --from-file PATH (- reads standard input) or --from-env VAR"
        )
    return Secret(_bare(session.ask(f"New {noun}", hidden=True)))


def variable(name: str, noun: str) -> Secret:
    """Return the secret in an environment variable. Raises UsageError when it is not set or empty."""
    from autosync_db import config

    if is_secret(name):
        raise UsageError(
            f"the {noun} itself was given as the name of a variable",
            hint=f"pass only the variable's name; the {noun} is in the shell's history now: replace it",
        )
    found = config.environment_secret(name)
    if found is None:
        raise UsageError(f"the variable {name} is not set or empty", hint=f"export {name}=... with the {noun}")
    return Secret(_bare(found.reveal()))


def is_secret(text: str) -> bool:
    """Return whether a text has the form of a key, and so is no name."""
    from autosync_db.supabase.key import redact

    return redact(text) != text


def read(path: str, noun: str) -> Secret:
    """Return the secret in the file `path`; `-` is standard input. Raises UsageError where it cannot be read."""
    name = "standard input" if path == "-" else path
    try:
        if path == "-":
            found = sys.stdin.buffer.read(_MOST_BYTES + 1)
        else:
            with Path(path).open("rb") as file:
                found = file.read(_MOST_BYTES + 1)
        if len(found) > _MOST_BYTES:
            raise UsageError(f"{name} holds more than 1 MB", hint=f"pass a file that holds only the {noun}")
        return Secret(_bare(_decoded(found)))
    except OSError as error:
        if is_secret(path):
            raise UsageError(
                f"the {noun} itself was given as the name of a file",
                hint=f"write it into a file, and pass its path; the {noun} is in the shell's history now: replace it",
            ) from None
        raise UsageError(
            f"cannot read the {noun} from {path}: {error.strerror}", hint="check path and permissions"
        ) from None
    except UnicodeDecodeError:
        raise UsageError(
            f"{name} is not a text file", hint=f"pass a file in UTF-8 that holds only the {noun}"
        ) from None


def _decoded(found: bytes) -> str:
    """Return a text in UTF-8, or in UTF-16 if it says so, as the redirections of Windows PowerShell write it."""
    return found.decode("utf-16" if found.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8")


def _bare(text: str) -> str:
    """Return a text without what nobody sees at its ends: blanks, the line break of a file, a byte order mark."""
    while (shorter := text.strip().strip(_UNSEEN)) != text:
        text = shorter
    return text
