"""The folder of the local stack, and what is found up the tree."""

import os
from pathlib import Path

from autosync_db.errors import UsageError

LOCAL_FOLDER = ".autosync"


def local_folder() -> Path:
    """Return the folder of the local stack: the nearest `.autosync` up the tree, else one in the current folder.

    Raises UsageError when it belongs to somebody else: its files say what is started, deleted and sent.
    """
    found = nearest(LOCAL_FOLDER)
    if found is None:
        return Path.cwd() / LOCAL_FOLDER
    status = found.lstat()
    if status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise UsageError(
            f"{found} belongs to another user or can be written by one",
            hint="work elsewhere, or remove it",
        )
    return found


def make_local_folder(folder: Path) -> None:
    """Create the folder of the local stack if it is not there, and let git ignore all that is in it: keys are."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o755)
    ignore = folder / ".gitignore"
    if not ignore.exists():
        ignore.write_text("*\n", encoding="utf-8")


def nearest(name: str) -> Path | None:
    """Return the file or folder of this name in the current folder or the nearest one above it."""
    here = Path.cwd()
    return next((folder / name for folder in (here, *here.parents) if (folder / name).exists()), None)
