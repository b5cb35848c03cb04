"""Tables that are added to autosync.toml; what is in it already, comments too, stays as it is."""

import tempfile
import tomllib
from pathlib import Path

from autosync_db import user_files
from autosync_db.config import GUIDE_JOB, Flags, load
from autosync_db.errors import UsageError
from autosync_db.supabase import whole_file


def job_names(path: Path) -> frozenset[str]:
    """Return the names of the jobs that a settings file has tables of; the file was read before."""
    values = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    names = set(values.get("jobs", {}))
    if isinstance(values.get("job"), dict):
        names.add(values["job"].get("name", GUIDE_JOB))
    return frozenset(names)


def append(path: Path, tables: str) -> None:
    """Add text to the end of a settings file, whole or not at all. Raises UsageError where it would be invalid then."""
    before = path.read_bytes().decode()
    text = f"{before.rstrip()}\n\n{tables}" if before.strip() else tables
    if "\r\n" in before:
        text = text.replace("\r\n", "\n").replace("\n", "\r\n")
    with user_files.refusals():
        _require_valid(path, text)
        whole_file.write(path, text, replace=True)


def _require_valid(path: Path, text: str) -> None:
    try:
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.") as made:
            made.write(text.encode())
            made.flush()
            load(Flags(config=Path(made.name)))
    except UsageError as error:
        message = error.message.replace(made.name, str(path))
        raise UsageError(
            f"the tables do not fit into the file: {message}",
            hint="print them without --write and add them yourself",
        ) from None
