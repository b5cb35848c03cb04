"""Files and folders that are looked for up the tree, and the folder of the local stack."""

import os
from pathlib import Path

from autosync_db.errors import UsageError
from autosync_db.supabase import whole_file

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
    """Make the folder of the local stack, which holds keys: only its owner can read it, and git ignores it.

    A folder that is there already is changed to that, with the files in it; the user's own .gitignore keeps its lines.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # root's server runs as another user, who goes through it and reads nothing
    folder.chmod(0o711 if os.geteuid() == 0 else 0o700)
    ignore = folder / ".gitignore"
    lines = ignore.read_text(encoding="utf-8").splitlines() if ignore.exists() else []
    if "*" not in lines:
        # first, so that what the user excepts stays excepted
        whole_file.write(ignore, "\n".join(["*", *lines]) + "\n", replace=True)
    for path in folder.iterdir():
        if path.is_file() and not path.is_symlink():
            path.chmod(path.stat().st_mode & 0o700)


def nearest(name: str) -> Path | None:
    """Return the file or folder of this name in the current folder or the nearest one above it."""
    here = Path.cwd()
    return next((folder / name for folder in (here, *here.parents) if (folder / name).exists()), None)
