"""Secrets in files, found by their form: reported with place, kind and fingerprint, never shown.

Which they are, judge.py says. Not found: keys over more than one line or string, in UTF-16, encoded once more,
encrypted or compressed, and a user's own tokens.
"""

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autosync_db import user_files
from autosync_db.errors import UsageError
from autosync_db.supabase import judge, key
from autosync_db.supabase.judge import Kind

# never looked into, named or not by an ignore file: not the user's own text
SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "node_modules", ".venv", "__pycache__", ".autosync"})

_LOOKED_AT_FOR_NUL = 8192
_ASSIGNED = "PASS"
_BEGINNINGS = tuple(beginning.encode() for beginning in (*key.BEGINNINGS, _ASSIGNED))


@dataclass(frozen=True, slots=True)
class Finding:
    """A secret in a file: where, of which kind and project, and the fingerprint that `secrets list` shows, too."""

    path: str
    line: int
    kind: Kind
    project_ref: str | None
    fingerprint: str


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found in how many text files, and which could not be read and why."""

    findings: tuple[Finding, ...]
    files: int
    unread: tuple[tuple[str, str], ...]


def scan(places: Sequence[Path], *, include_ignored: bool = False, include_public: bool = False) -> Scan:
    """Look into files and folders; a file is looked into whatever its name, a folder as far as git does not ignore it.

    Raises UsageError when a place does not exist.
    """
    with user_files.refusals("read"):
        absent = next((place for place in places if not place.exists()), None)
    if absent is not None:
        raise UsageError(
            f"there is no file or folder {absent}", hint="name files or folders to scan, or none for the current folder"
        )
    findings: list[Finding] = []
    unread: list[tuple[str, str]] = []
    files = 0
    for path in dict.fromkeys(path for place in places for path in _files(str(place), include_ignored, unread)):
        try:
            found = _scan_file(path)
        except FileNotFoundError:
            continue  # git still lists what was just deleted
        except OSError as error:
            unread.append((path, error.strerror or type(error).__name__))
            continue
        if found is not None:
            files += 1
            findings += [finding for finding in found if include_public or not finding.kind.is_public]
    return Scan(tuple(findings), files, tuple(unread))


def _files(place: str, include_ignored: bool, unread: list[tuple[str, str]]) -> Iterator[str]:
    """Yield the files of a place; a folder that cannot be read is added to `unread`."""
    if not Path(place).is_dir():
        yield place
        return
    listed = None if include_ignored else _listed_by_git(place)
    if listed is None:
        yield from _walk(place, unread)
        return
    for name in listed:
        if SKIPPED_FOLDERS.isdisjoint(name.split("/")[:-1]):
            path = name if place == "." else f"{place}/{name}"
            try:
                mode = os.lstat(path).st_mode
            except OSError:
                continue
            if stat.S_ISREG(mode):
                yield path
            elif stat.S_ISDIR(mode):  # a repository inside this one
                yield from _files(path.rstrip("/"), include_ignored, unread)


def _listed_by_git(folder: str) -> list[str] | None:
    """Return what git tracks or would track below a folder, None where there is no repository or git to ask."""
    git = shutil.which("git")
    if git is None:
        return None
    from autosync_db import config  # it costs more than the scan of a few files, which need no git

    environment = config.environment_of_children()
    # no setting of a repository may start a program
    command = [git, "-c", "core.fsmonitor=false", "-C", folder]
    names = subprocess.run(
        [*command, "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=False,
        env=environment,
    )
    if names.returncode != 0:
        return None
    if not names.stdout:
        ignored = subprocess.run([*command, "check-ignore", "-q", "."], check=False, env=environment)
        if ignored.returncode == 0:
            return None  # ignored as a whole, and yet named
    return sorted({os.fsdecode(name) for name in names.stdout.split(b"\0") if name})


def is_open_to_git(path: Path) -> bool:
    """Return whether git would take a file into a commit; False where there is no repository or git to ask."""
    git = shutil.which("git")
    if git is None:
        return False
    from autosync_db import config

    command = [git, "-c", "core.fsmonitor=false", "-C", str(path.absolute().parent)]
    environment = config.environment_of_children()
    asked = subprocess.run(
        [*command, "check-ignore", "--quiet", "--", path.name], check=False, capture_output=True, env=environment
    )
    # 0: ignored; 128: no repository
    return asked.returncode == 1


def _walk(folder: str, unread: list[tuple[str, str]]) -> Iterator[str]:
    try:
        with os.scandir(folder) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError as error:
        unread.append((folder, error.strerror or type(error).__name__))
        return
    for entry in entries:
        path = entry.name if folder == "." else entry.path
        if entry.is_file(follow_symlinks=False):
            yield path
        elif entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED_FOLDERS:
            yield from _walk(path, unread)


def _scan_file(path: str) -> list[Finding] | None:
    """Return the secrets in a file, each once a line, or None when it is not text."""
    found: dict[Finding, None] = {}
    with Path(path).open("rb") as file:
        if b"\0" in file.peek(_LOOKED_AT_FOR_NUL)[:_LOOKED_AT_FOR_NUL]:
            return None
        for number, line in enumerate(file, 1):
            if not any(beginning in line for beginning in _BEGINNINGS):
                continue
            text = line.decode(errors="replace")
            assigned = judge.assigned_in(text) if _ASSIGNED in text else ()
            for one in (*judge.found_in(text), *assigned):
                found[Finding(path, number, one.kind, one.project_ref, one.fingerprint)] = None
    return list(found)
