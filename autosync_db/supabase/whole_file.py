"""Files that are there whole or not at all, whenever the program is killed."""

import contextlib
import errno
import os
import stat
import tempfile
from pathlib import Path

_ENDING = ".autosync-part"


def write(path: Path, text: str, *, replace: bool = False, mode: int | None = None) -> None:
    """Write a file, and its folder. Raises FileExistsError when it is there and not `replace`.

    What earlier attempts left beside it is removed. No program takes such a part for a whole file: its name begins with
    a dot and ends in .autosync-part. With `replace` a device or a pipe is written to and stays what it is. The
    permissions of a file that is there stay, unless `mode` says otherwise.
    """
    # before a link is followed: what /dev/stdout leads to has no path
    if replace and path.exists() and not stat.S_ISREG(path.stat().st_mode):
        with path.open("w", encoding="utf-8", newline="\n") as device:
            device.write(text)
        return
    if replace and path.is_symlink():
        # the file itself, not what points to it
        path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    for left in path.parent.glob(f".{path.name}.*{_ENDING}"):
        left.unlink(missing_ok=True)
    try:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=_ENDING)
    except OSError as error:
        # about the file itself, not about its part
        raise type(error)(error.errno, error.strerror, str(path)) from None
    part = Path(name)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        # mkstemp() lets nobody else read it
        if mode is None:
            mode = path.stat().st_mode & 0o777 if path.exists() else 0o666 & ~_mask()
        part.chmod(mode)
        if replace:
            part.replace(path)
        else:
            _name(part, path)
        _sync_folder(path.parent)
    finally:
        part.unlink(missing_ok=True)


def _name(part: Path, path: Path) -> None:
    """Give a file its name, unless another one has it. Raises FileExistsError."""
    try:
        path.hardlink_to(part)
    except FileExistsError:
        raise
    except OSError:
        # a file system without links: nobody else writes here at the same moment
        if path.exists():
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
        part.replace(path)


def _mask() -> int:
    """Return which permissions new files are not given; there is no way to ask without setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def _sync_folder(folder: Path) -> None:
    """Write a folder to the disk, so that names in it outlive a crash of the machine, where the system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
