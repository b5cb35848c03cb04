"""Files for the user's own repository, from the shipped templates."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from autosync_db import resources
from autosync_db.errors import UsageError


def write_functions(directory: Path, *, force: bool = False) -> list[Path]:
    """Write the Edge Functions into `directory` and return the files written; equal files are left alone.

    Raises UsageError, before anything is written, when a file is there with another content and not `force`.
    """
    wanted: dict[Path, bytes] = {}
    with resources.folder("templates/functions") as source:
        for file in sorted(source.rglob("*")):
            if file.is_file():
                wanted[directory / file.relative_to(source)] = file.read_bytes()
    with _files_of_the_user():
        pending = {path: text for path, text in wanted.items() if not path.exists() or path.read_bytes() != text}
    if not force and (taken := [path for path in pending if path.exists()]):
        raise UsageError(
            f"{taken[0]} exists and differs" + (f" (and {len(taken) - 1} more)" if len(taken) > 1 else ""),
            hint="compare it, then pass --force to overwrite, or --dir to write elsewhere",
        )
    with _files_of_the_user():
        for path, text in pending.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(text)
    return list(pending)


def write_settings(path: Path, project_ref: str | None, *, force: bool = False) -> None:
    """Write a settings file with every setting at its default. Raises UsageError when it is there and not `force`."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists", hint="pass --force to overwrite it")
    text = resources.render("templates/autosync.toml.j2", project_ref=project_ref)
    with _files_of_the_user():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


@contextmanager
def _files_of_the_user() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename}: {error.strerror}", hint="check the path and its permissions"
        ) from error
