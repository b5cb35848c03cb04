"""Service keys in files, found by their form: reported with place, kind and fingerprint, never shown.

A legacy key is a JWT, whose payload says which role it is of: only those of service_role are secrets. Not found: keys
over more than one line or string, in UTF-16, encoded once more, encrypted or compressed, and a user's own tokens.
"""

import base64
import hashlib
import hmac
import os
import re
import shutil
import stat
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import key

# never looked into, named or not by an ignore file: not the user's own text
SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "node_modules", ".venv", "__pycache__", ".autosync"})

_LOOKED_AT_FOR_NUL = 8192
_BEGINNINGS = tuple(beginning.encode() for beginning in key.BEGINNINGS)
_KEYS = re.compile("|".join(f"(?P<{one.name}>{one.expression})" for one in key.PATTERNS))
_SHORTEST_TAIL = 16  # of an opaque key
# what Supabase ships for local development is known to everybody: secrets that sample JWTs are signed with, and a key
_SAMPLE_SIGNING_SECRETS = (
    b"super-secret-jwt-token-with-at-least-32-characters-long",
    b"your-super-secret-jwt-token-with-at-least-32-characters-long",
)
_SAMPLE_DIGESTS = frozenset({"c85debb55f2f204d868cc1552c42faa143b4c675f61363ab040dd50b5b5304cd"})


class Kind(StrEnum):
    """What was found. ANON, PUBLISHABLE and SAMPLE are public and reported only when asked for."""

    LEGACY = "legacy"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a value
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the same
    ANON = "anon"
    PUBLISHABLE = "publishable"
    SAMPLE = "sample"

    @property
    def is_public(self) -> bool:
        """Whether everybody may know such a value."""
        return self in {Kind.ANON, Kind.PUBLISHABLE, Kind.SAMPLE}


@dataclass(frozen=True, slots=True)
class Finding:
    """A key in a file: where, of which kind and project, and the fingerprint that `secrets list` shows, too."""

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
    for place in places:
        if not place.exists():
            raise UsageError(
                f"there is no file or folder {place}", hint="name what to scan, or nothing for the current folder"
            )
    findings: list[Finding] = []
    unread: list[tuple[str, str]] = []
    files = 0
    for path in dict.fromkeys(path for place in places for path in _files(str(place), include_ignored)):
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


def _files(place: str, include_ignored: bool) -> Iterator[str]:
    if not Path(place).is_dir():
        yield place
        return
    listed = None if include_ignored else _listed_by_git(place)
    if listed is None:
        yield from _walk(place)
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
                yield from _files(path.rstrip("/"), include_ignored)


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


def _walk(folder: str) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = entry.name if folder == "." else entry.path
        if entry.is_file(follow_symlinks=False):
            yield path
        elif entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED_FOLDERS:
            yield from _walk(path)


def _scan_file(path: str) -> list[Finding] | None:
    """Return the keys in a file, each once a line, or None when it is not text."""
    found: dict[Finding, None] = {}
    with Path(path).open("rb") as file:
        if b"\0" in file.peek(_LOOKED_AT_FOR_NUL)[:_LOOKED_AT_FOR_NUL]:
            return None
        for number, line in enumerate(file, 1):
            if not any(beginning in line for beginning in _BEGINNINGS):
                continue
            for match in _KEYS.finditer(line.decode(errors="replace")):
                if judged := _judge(str(match.lastgroup), match[0]):
                    kind, ref, value = judged
                    found[Finding(path, number, kind, ref, key.fingerprint(Secret(value)))] = None
    return list(found)


def _judge(form: str, text: str) -> tuple[Kind, str | None, str] | None:
    """Return the kind, the project and the whole of a key, None for what only looks like one."""
    if form == "jwt":
        return _judge_jwt(text)
    kind = Kind(form)
    if kind is not Kind.ACCESS_TOKEN:
        tail = text.removeprefix("sb_secret_").removeprefix("sb_publishable_")
        if len(tail) < _SHORTEST_TAIL or key.PLACEHOLDER.search(text):
            return None
        if hashlib.sha256(text.encode()).hexdigest() in _SAMPLE_DIGESTS:
            kind = Kind.SAMPLE
    return kind, None, text


def _judge_jwt(text: str) -> tuple[Kind, str | None, str] | None:
    # what follows the third part is the sentence or the code around it
    head, payload, *signatures = text.split(".")[:3]
    if not signatures or len(signatures[0]) < key.SHORTEST_SIGNATURE:
        return None
    claims = key.claims(Secret(f"{head}.{payload}.{signatures[0]}"))
    match claims.get("role"):
        case "service_role":
            kind = Kind.SAMPLE if _is_sample(f"{head}.{payload}", signatures[0]) else Kind.LEGACY
        case "anon":
            kind = Kind.ANON
        case _:
            return None
    ref = claims.get("ref")
    return kind, ref if isinstance(ref, str) else None, f"{head}.{payload}.{signatures[0]}"


def _is_sample(signed: str, signature: str) -> bool:
    digests = (hmac.digest(secret, signed.encode(), hashlib.sha256) for secret in _SAMPLE_SIGNING_SECRETS)
    return signature.encode() in {base64.urlsafe_b64encode(digest).rstrip(b"=") for digest in digests}
