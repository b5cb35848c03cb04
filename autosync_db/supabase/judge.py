"""Which secrets a text holds, by their form: the one judge for files, jobs, functions and reports.

autosync.holds_key() is the same in the database, written from the same expressions. What it finds, key.redact(),
autosync.mask_keys() and the functions mask. A legacy key is a JWT, whose payload says which role it is of.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from urllib.parse import unquote

from autosync_db.secret import Secret
from autosync_db.supabase import key, password


class Kind(StrEnum):
    """What was found. ANON, PUBLISHABLE and SAMPLE are public and no secrets."""

    LEGACY = "legacy"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a value
    ACCESS_TOKEN = "access_token"  # noqa: S105 - the same
    DATABASE_PASSWORD = "database_password"  # noqa: S105 - the same
    ANON = "anon"
    PUBLISHABLE = "publishable"
    SAMPLE = "sample"

    @property
    def is_public(self) -> bool:
        """Whether everybody may know such a value."""
        return self in {Kind.ANON, Kind.PUBLISHABLE, Kind.SAMPLE}


@dataclass(frozen=True, slots=True)
class Found:
    """One secret of a text, or public key: its place in characters, its project and its fingerprint; never itself."""

    kind: Kind
    start: int
    end: int
    project_ref: str | None
    fingerprint: str


_KEYS = re.compile("|".join(f"(?P<{one.name}>{one.whole})" for one in key.PATTERNS))
_PASSWORDS = tuple(re.compile(expression) for expression in password.FORMS)
_BEGINS = re.compile("|".join(key.BEGINNINGS))


def found_in(text: str) -> Iterator[Found]:
    """Yield every secret and every public key of a text, by their places; no placeholder and no variable."""
    if not _BEGINS.search(text):
        return
    found = [one for match in _KEYS.finditer(text) if (one := _judged(match)) is not None]
    for expression in _PASSWORDS:
        found += [one for match in expression.finditer(text) if (one := _judged_password(match)) is not None]
    # a password may have a host on both sides
    yield from sorted(dict.fromkeys(found), key=lambda one: one.start)


def assigned_in(text: str) -> Iterator[Found]:
    """Yield the passwords of databases that variables are set to, as files of variables and workflows do it."""
    for match in password.assigned(text):
        group = next(group for group in (1, 2, 3) if match[group])
        bare = match[group] if group < 3 else match[group].rstrip(",;")
        if not key.PLACEHOLDER.search(bare):
            start = match.start(group)
            found = key.fingerprint(Secret(bare))
            yield Found(Kind.DATABASE_PASSWORD, start, start + len(bare), None, found)


def holds_secret(text: str) -> bool:
    """Return whether a text holds a secret; autosync.holds_key() in SQL."""
    return any(not one.kind.is_public for one in found_in(text))


def _judged(match: re.Match[str]) -> Found | None:
    text, ref = match[0], None
    if match.lastgroup == "jwt":
        claims = key.claims(Secret(text))
        kind = _kind_of_jwt(text, claims.get("role"))
        ref = claims.get("ref")
    else:
        kind = None if key.PLACEHOLDER.search(text) else Kind(str(match.lastgroup))
        if hashlib.sha256(text.encode()).hexdigest() == key.SAMPLE_DIGEST:
            kind = Kind.SAMPLE
    if kind is None:
        return None
    found = key.fingerprint(Secret(text))
    return Found(kind, match.start(), match.end(), ref if isinstance(ref, str) else None, found)


def _kind_of_jwt(text: str, role: object) -> Kind | None:
    if re.search(key.SERVICE, text):
        return Kind.SAMPLE if _is_sample(text) else Kind.LEGACY
    return Kind.ANON if role == "anon" else None


def _is_sample(text: str) -> bool:
    """Return whether a JWT is signed with a secret that everybody knows; what it claims of itself proves nothing."""
    signed, _, signature = text.rpartition(".")
    digests = (hmac.digest(secret, signed.encode(), hashlib.sha256) for secret in key.SAMPLE_SIGNING_SECRETS)
    return signature.encode() in {base64.urlsafe_b64encode(digest).rstrip(b"=") for digest in digests}


def _judged_password(match: re.Match[str]) -> Found | None:
    bare = match[2].strip("'")
    if not bare or key.PLACEHOLDER.search(bare) or password.is_none(bare):
        return None
    kind = Kind.SAMPLE if password.is_known(bare, match[0]) else Kind.DATABASE_PASSWORD
    return Found(kind, match.start(2), match.end(2), None, key.fingerprint(Secret(unquote(bare))))
