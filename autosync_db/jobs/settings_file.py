"""Tables that are added to autosync.toml; what is in it already, comments too, stays as it is."""

import os
import tempfile
import tomllib
from pathlib import Path

from autosync_db.config import Flags, load
from autosync_db.errors import UsageError, files_of_the_user


def job_names(path: Path) -> frozenset[str]:
    """Return the names of the jobs that a settings file has tables of; the file was read before."""
    values = tomllib.loads(path.read_text(encoding="utf-8"))
    names = set(values.get("jobs", {}))
    if isinstance(values.get("job"), dict):
        names.add(values["job"].get("name", "auto-sync-cron-job"))
    return frozenset(names)


def append(path: Path, tables: str) -> None:
    """Add text to the end of a settings file, whole or not at all. Raises UsageError where it would be invalid then."""
    before = path.read_text(encoding="utf-8")
    text = f"{before.rstrip()}\n\n{tables}" if before.strip() else tables
    with files_of_the_user():
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        made = Path(name)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            _require_valid(made, path)
            made.chmod(path.stat().st_mode & 0o777)
            made.replace(path)
        finally:
            made.unlink(missing_ok=True)


def _require_valid(made: Path, path: Path) -> None:
    try:
        load(Flags(config=made))
    except UsageError as error:
        message = error.message.replace(str(made), str(path))
        raise UsageError(
            f"the tables do not fit into the file: {message}",
            hint="print them without --write and add them yourself",
        ) from None
