"""Files are there whole or not at all: a process is killed at each of its steps."""

import os
import stat
import threading
from pathlib import Path

import pytest

from autosync_db.supabase import whole_file

TEXT = "select 1;\n" * 10_000


def _killed_at(step: str, path: Path, *, replace: bool) -> None:
    """Write in a child that ends without a word when it comes to a step of the operating system."""
    child = os.fork()
    if child == 0:

        def die(*_: object, **__: object) -> None:
            os._exit(9)

        setattr(Path if step in {"replace", "hardlink_to", "chmod"} else os, step, die)
        whole_file.write(path, TEXT, replace=replace)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9


@pytest.mark.parametrize("step", ["fdopen", "fsync", "chmod", "hardlink_to"])
def test_a_killed_process_leaves_no_part_under_the_name(tmp_path: Path, step: str) -> None:
    path = tmp_path / "new" / "made.sql"
    _killed_at(step, path, replace=False)
    assert list(path.parent.glob("*.sql")) == []
    whole_file.write(path, TEXT)
    # what the child left went, too
    assert [(one.name, one.read_text()) for one in path.parent.iterdir()] == [("made.sql", TEXT)]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_killed_process_keeps_what_was_there(tmp_path: Path, step: str) -> None:
    path = tmp_path / "made.sql"
    path.write_text("before")
    path.chmod(0o640)
    _killed_at(step, path, replace=True)
    assert path.read_text() == "before"
    with pytest.raises(FileExistsError):
        whole_file.write(path, TEXT)
    whole_file.write(path, TEXT, replace=True)
    assert (path.read_text(), path.stat().st_mode & 0o777) == (TEXT, 0o640)
    assert list(tmp_path.iterdir()) == [path]


def test_what_points_to_a_file_that_is_replaced_stays(tmp_path: Path) -> None:
    file, link = tmp_path / "shared.toml", tmp_path / "config.toml"
    file.write_text("a = 1\n")
    link.symlink_to(file)
    whole_file.write(link, TEXT, replace=True)
    assert (link.is_symlink(), file.read_text()) == (True, TEXT)
    with pytest.raises(FileExistsError):
        whole_file.write(link, "other")
    assert file.read_text() == TEXT


def test_a_pipe_or_a_device_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    pipe, link, device = tmp_path / "pipe", tmp_path / "link", tmp_path / "null"
    os.mkfifo(pipe)
    link.symlink_to(pipe)
    for path in (pipe, link):
        read: list[str] = []
        reader = threading.Thread(target=lambda read=read: read.append(pipe.read_text()), daemon=True)
        reader.start()
        whole_file.write(path, TEXT, replace=True)
        assert stat.S_ISFIFO(pipe.lstat().st_mode)
        reader.join(10)
        assert read == [TEXT]
    read_end, write_end = os.pipe()
    with os.fdopen(read_end) as ours:
        # as /dev/stdout of a program in a pipe: a link to what has no path
        whole_file.write(Path(f"/dev/fd/{write_end}"), "short\n", replace=True)
        os.close(write_end)
        assert ours.read() == "short\n"
    try:
        os.mknod(device, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        # a folder may be mounted without devices
        device.write_text("")
    except PermissionError:
        device = Path(os.devnull)
        if os.access(device.parent, os.W_OK):
            return  # nothing here may be broken by trying it
    whole_file.write(device, TEXT, replace=True)
    assert stat.S_ISCHR(device.lstat().st_mode)
