"""Files for the user's own repository, from the shipped templates."""

import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from autosync_db import resources, user_files
from autosync_db.config import HOUSEKEEPING_JOB
from autosync_db.errors import UsageError
from autosync_db.scaffold.files import write
from autosync_db.supabase import whole_file
from autosync_db.supabase.function_settings import Change, unverified

# the template of a function for any job; its name in the text gives way to that of the function
PLAIN = "plain-function"
# the settings file that every command finds by itself
_SETTINGS = Path("autosync.toml")
# the entries of the shipped functions in config.toml, to copy from
SECTIONS = Path("config.toml")
# the functions that an entry is for
SHIPPED = ("auto-sync-cron", "device-sync")
_FUNCTION_NAME = r"[A-Za-z][A-Za-z0-9_-]{0,62}"


def write_functions(directory: Path, *, with_sections: bool = True, force: bool = False) -> list[Path]:
    """Write the Edge Functions into `directory` and return the files written; equal files are left alone.

    `with_sections`: a config.toml beside them too, from which the reader copies their entries. Raises UsageError,
    before anything is written, when a file is there with another content and not `force`.
    """
    wanted = {path: text for path, text in shipped_functions() if with_sections or path != SECTIONS}
    return write({directory / path: text for path, text in wanted.items()}, "--dir", force=force)


def write_plain_function(directory: Path, name: str, *, force: bool = False) -> list[Path]:
    """Write an Edge Function `name` for a job that drains nothing, with the modules that it shares; as above."""
    check_function_name(name)
    wanted = {directory / path: text for path, text in shipped_functions() if path.parts[0] == "_shared"}
    source = resources.read(f"templates/functions/{PLAIN}/index.ts").replace(PLAIN, name)
    return write({directory / name / "index.ts": source.encode(), **wanted}, "--dir", force=force)


def check_function_name(name: str) -> None:
    """Return if `name` can be that of a function of one's own. Raises UsageError if not."""
    if not re.fullmatch(_FUNCTION_NAME, name):
        raise UsageError(
            f"--plain {name!r} cannot be the name of a function",
            hint="begin with a letter, then at most 62 letters, digits, - and _, for example: --plain daily-report",
        )
    shipped = {path.parts[0] for path, _ in shipped_functions()}
    if name.lower() in shipped | {PLAIN, HOUSEKEEPING_JOB}:
        raise UsageError(
            f"--plain {name!r} is the name of something that autosync-db has itself",
            hint="choose another name, for example: --plain daily-report",
        )


def function_settings(directory: Path, functions: Sequence[str]) -> Change | None:
    """Return how supabase/config.toml is to change for functions in `directory`, None where nothing is to change.

    Raises UsageError when it cannot be changed.
    """
    return unverified(directory.parent / SECTIONS, functions) if is_of_project(directory) else None


def is_of_project(directory: Path) -> bool:
    """Return whether a folder is the one in which the Supabase CLI looks for functions."""
    return directory.absolute().parts[-2:] == ("supabase", "functions")


def write_change(change: Change) -> None:
    """Write a changed file of the user's whole or not at all. Raises UsageError when it was changed in the meantime."""
    with user_files.refusals():
        path = change.path.resolve()  # a link stays one
        before = path.read_bytes() if path.exists() else None
        if before != (None if change.before is None else change.before.encode()):
            raise UsageError(f"{change.path} was changed in the meantime", hint="run it again")
        whole_file.write(path, change.after, replace=True)


def shipped_functions() -> list[tuple[Path, bytes]]:
    """Return the path below the folder of functions, and the content, of every file but the plain template's."""
    with resources.folder("templates/functions") as source:
        files = sorted(file for file in source.rglob("*") if file.is_file())
        named = [(file.relative_to(source), file.read_bytes()) for file in files]
    return [(path, content) for path, content in named if path.parts[0] != PLAIN]


def write_settings(path: Path, targets: Mapping[str, str | None], *, force: bool = False) -> None:
    """Write a settings file with every setting at its default, and these targets with their refs.

    Raises UsageError when it is there and not `force`.
    """
    require_free(path, force=force)
    variables = {name: variable_of(name, targets) for name in targets}
    text = resources.render("templates/autosync.toml.j2", targets=targets, variables=variables)
    with user_files.refusals():
        whole_file.write(path.resolve(), text, replace=True)


def require_free(path: Path, *, force: bool) -> None:
    """Return if a settings file may be written there. Raises UsageError when one is there and not `force`."""
    if path.exists() and not force:
        raise UsageError(
            f"{path} exists",
            hint=f"pass --force to overwrite it, or go on with: autosync-db setup{config_option(path)}",
        )


def config_option(path: Path) -> str:
    """Return what a command needs to read this settings file: nothing for the one that it finds by itself."""
    return "" if path == _SETTINGS else f" --config {shlex.quote(str(path))}"


def variable_of(name: str, targets: Mapping[str, str | None]) -> str:
    """Return the variable that holds a target's database: the first target's is the usual one, no two share one."""
    suffix = "" if name == next(iter(targets)) else "_" + re.sub(r"\W", "_", name).upper()
    return f"SUPABASE_DB_URL{suffix}"
