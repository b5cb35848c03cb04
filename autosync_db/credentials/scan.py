"""Service keys in files, found by their form: told by place, kind and fingerprint, never shown.

A legacy key is a JWT, whose payload says whose it is: only those of the role service_role are secrets. A key that was
wrapped, quoted in pieces or concatenated is put together again. Not found: what is encoded once more, encrypted or
compressed, and a user's own tokens.
"""

import base64
import binascii
import hashlib
import hmac
import json
import mmap
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
from autosync_db.supabase.key import PLACEHOLDER, fingerprint

DEFAULT_FOLDER = Path("supabase/migrations")
# never looked into, named or not by an ignore file: not the user's own text
SKIPPED_FOLDERS = frozenset({".git", ".hg", ".svn", "node_modules", ".venv", "__pycache__", ".autosync"})

_MAPPED_FROM_BYTES = 1 << 20
_LOOKED_AT_FOR_NUL = 8192
# a header of at most 400 characters, a payload of 2000, an RS512 signature of 683, and what joins their pieces
_WINDOW_BYTES = 6000
# how every key begins, which is faster to search for than any expression
_OBJECT = b"eyJ"
_HEADERS = (b"eyJhbGci", b"eyJ0eXAi", b"eyJraWQi")  # the base64 of {"alg", {"typ" and {"kid"
_PREFIXES = (b"sb_secret_", b"sbp_")
_PUBLIC_PREFIXES = (b"sb_publishable_",)

_JWT = re.compile(rb"([A-Za-z0-9_-]{16,400})\.([A-Za-z0-9_-]{16,2000})\.([A-Za-z0-9_-]{43,700})")
_OPAQUE = re.compile(rb"sb_secret_[A-Za-z0-9_-]{1,120}")
_PUBLISHABLE = re.compile(rb"sb_publishable_[A-Za-z0-9_-]{16,120}")
_ACCESS_TOKEN = re.compile(rb"sbp_[0-9a-f]{40}(?![0-9a-f])")
_OPAQUE_LENGTH = len("sb_secret_") + 31
_SHORTEST_OPAQUE = len("sb_secret_") + 16
# what stands between two pieces of one value: a wrapped line, or the end of one string and the start of the next
_WRAP = rb"[\\=]?\r?\n[ \t]*(?:--[ \t]+|//|[#*+>|])?[ \t]*"
_BETWEEN_STRINGS = rb"""["'`][\s\\]*(?:\|\||\.\.|[+.&])?[\s\\_]*[bBeEfFnNrRuU]?["'`]"""
_JOINT = re.compile(_WRAP + b"|" + _BETWEEN_STRINGS)
# the arguments of concat(), too; nothing else about a JWT could be taken for it, while lists of words are common
_JOINT_IN_JWT = re.compile(_WRAP + b"|" + _BETWEEN_STRINGS.replace(b"+.&", b"+.,&"))
_SIGNATURE_LENGTHS = {"HS256": 43, "HS384": 64, "HS512": 86, "ES256": 86, "EdDSA": 86, "RS256": 342}

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
                f"there is no file or folder {place}", hint="name what to scan, or nothing for the default"
            )
    findings: list[Finding] = []
    unread: list[tuple[str, str]] = []
    files = 0
    for path in dict.fromkeys(path for place in places for path in _files(str(place), include_ignored)):
        try:
            found = _scan_file(path, include_public)
        except FileNotFoundError:
            continue  # git still lists what was just deleted
        except OSError as error:
            unread.append((path, error.strerror or type(error).__name__))
            continue
        if found is not None:
            files += 1
            findings += found
    return Scan(tuple(findings), files, tuple(unread))


def _files(place: str, include_ignored: bool) -> Iterator[str]:
    if not Path(place).is_dir():
        yield place
        return
    listed = None if include_ignored else _listed_by_git(place)
    if listed is None:
        yield from _walk(place, include_ignored)
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
    # no setting of a strange repository may start a program
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


def _walk(folder: str, include_ignored: bool) -> Iterator[str]:
    with os.scandir(folder) as found:
        entries = sorted(found, key=lambda entry: entry.name)
    for entry in entries:
        path = entry.name if folder == "." else entry.path
        if entry.is_file(follow_symlinks=False):
            yield path
        elif entry.is_dir(follow_symlinks=False) and entry.name not in SKIPPED_FOLDERS:
            yield from _walk(path, include_ignored)


def _scan_file(path: str, include_public: bool) -> list[Finding] | None:
    """Return the keys in a file, None when it is not text."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):  # a pipe that was named
            with os.fdopen(descriptor, "rb", closefd=False) as file:
                return _scan_text(path, file.read(), include_public)
        if status.st_size < _MAPPED_FROM_BYTES:
            return _scan_text(path, os.read(descriptor, status.st_size), include_public)
        with mmap.mmap(descriptor, 0, access=mmap.ACCESS_READ) as mapped:
            return _scan_text(path, mapped, include_public)
    finally:
        os.close(descriptor)


def _scan_text(path: str, data: bytes | mmap.mmap, include_public: bool) -> list[Finding] | None:
    if data[:2] in {b"\xff\xfe", b"\xfe\xff"}:
        # what a redirection in PowerShell writes
        data = data[:].decode("utf-16", errors="replace").encode("utf-8", errors="replace")
    elif b"\0" in data[:_LOOKED_AT_FOR_NUL]:
        return None
    found: dict[tuple[int, str], Finding] = {}
    line, counted = 1, 0
    for position, kind, ref, key in sorted(_keys(data, include_public), key=lambda one: one[0]):
        if kind.is_public and not include_public:
            continue
        line += data[counted:position].count(b"\n")
        counted = position
        finding = Finding(path, line, kind, ref, fingerprint(Secret(key.decode())))
        found.setdefault((line, finding.fingerprint), finding)
    return list(found.values())


def _keys(data: bytes | mmap.mmap, include_public: bool) -> Iterator[tuple[int, Kind, str | None, bytes]]:
    """Yield the place of every key, what it is, its project and itself."""
    for start in _places(data, _HEADERS) if data.find(_OBJECT) >= 0 else ():
        if (jwt := _jwt_at(data, start)) is not None:
            yield start, *jwt
    for start in _places(data, _PREFIXES + (_PUBLIC_PREFIXES if include_public else ())):
        text = data[start : start + _WINDOW_BYTES]
        if match := _OPAQUE.match(text):
            if (key := _opaque(match[0], text)) is not None:
                sample = hashlib.sha256(key).hexdigest() in _SAMPLE_DIGESTS
                yield start, Kind.SAMPLE if sample else Kind.SECRET, None, key
        elif match := _ACCESS_TOKEN.match(text):
            yield start, Kind.ACCESS_TOKEN, None, match[0]
        elif (match := _PUBLISHABLE.match(text)) and not PLACEHOLDER.search(match[0].decode()):
            yield start, Kind.PUBLISHABLE, None, match[0]


def _places(data: bytes | mmap.mmap, needles: tuple[bytes, ...]) -> Iterator[int]:
    for needle in needles:
        start = data.find(needle)
        while start >= 0:
            yield start
            start = data.find(needle, start + len(needle))


def _jwt_at(data: bytes | mmap.mmap, start: int) -> tuple[Kind, str | None, bytes] | None:
    window = data[start : start + _WINDOW_BYTES]
    match = _JWT.match(window)
    joined = match is None
    if joined:
        match = _JWT.match(_JOINT_IN_JWT.sub(b"", window))
    if match is None:
        return None
    header, payload = _object(match[1]), _object(match[2])
    if header is None or payload is None:
        return None
    signature = match[3]
    if joined:
        # what followed the key was joined to it as well
        signature = signature[: _SIGNATURE_LENGTHS.get(str(header.get("alg")), len(signature))]
    signed = match[1] + b"." + match[2]
    ref = payload.get("ref")
    match payload.get("role"):
        case "service_role":
            kind = Kind.SAMPLE if _is_sample(signed, signature) else Kind.LEGACY
        case "anon":
            kind = Kind.ANON
        case _:
            return None
    return kind, ref if isinstance(ref, str) else None, signed + b"." + signature


def _object(segment: bytes) -> dict[str, object] | None:
    """Return the JSON object in a part of a JWT."""
    try:
        value = json.loads(base64.urlsafe_b64decode(segment + b"=" * (-len(segment) % 4)))
    except (binascii.Error, ValueError):
        return None
    return value if isinstance(value, dict) else None


def _is_sample(signed: bytes, signature: bytes) -> bool:
    digests = (hmac.digest(secret, signed, hashlib.sha256) for secret in _SAMPLE_SIGNING_SECRETS)
    return signature in {base64.urlsafe_b64encode(digest).rstrip(b"=") for digest in digests}


def _opaque(found: bytes, text: bytes) -> bytes | None:
    """Return the secret key that begins with what was `found` at the start of `text`, None when it is none."""
    if len(found) < _OPAQUE_LENGTH:
        joined = _OPAQUE.match(_JOINT.sub(b"", text))
        if joined and len(joined[0]) >= _OPAQUE_LENGTH:
            key = joined[0][:_OPAQUE_LENGTH]
            # words that follow one another, in prose or in a list, are no key: random text has digits and both cases
            body = key.removeprefix(b"sb_secret_")
            if all(re.search(some, body) for some in (rb"[0-9]", rb"[a-z]", rb"[A-Z]")):
                return None if PLACEHOLDER.search(key.decode()) else key
    return found if len(found) >= _SHORTEST_OPAQUE and not PLACEHOLDER.search(found.decode()) else None
