"""What a service key is, judged by its form alone; nothing here contacts anybody.

Two kinds exist (see docs/keys.md): the legacy `service_role` JWT, sent as `Authorization: Bearer`, and the
secret key `sb_secret_...`, sent as `apikey`. Their public counterparts (`anon`, `sb_publishable_...`) look
alike, pass the gateway, and then read nothing: they must never be stored as the service key.
"""

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from autosync_db.errors import SecretError
from autosync_db.secret import Secret

WHERE_TO_FIND = "copy the service_role or secret key from the project's Settings > API Keys page"
_PLACEHOLDER = re.compile(r"your[-_ ]|<.*>|x{6,}|changeme|placeholder|example|\.\.\.", re.IGNORECASE)
LOOKS_SECRET = re.compile(r"eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]*)?|sb_secret_[A-Za-z0-9_-]{8,}")
_URL_PASSWORD = re.compile(r"(://[^/@\s:]*:)[^@\s]+(?=@)")


class KeyKind(StrEnum):
    """How a key is sent: LEGACY as a bearer token, SECRET on the apikey header."""

    LEGACY = "legacy"
    SECRET = "secret"  # noqa: S105 - the name of a kind, not a value


@dataclass(frozen=True, slots=True)
class ServiceKey:
    """The public facts of a service key; never the key itself."""

    kind: KeyKind
    fingerprint: str
    project_ref: str | None
    expires_at: datetime | None


def fingerprint(secret: Secret) -> str:
    """Return 12 hex digits that tell two secrets apart and help nobody to guess either."""
    return hashlib.sha256(secret.reveal().encode()).hexdigest()[:12]


def redact(text: str) -> str:
    """Return `text` with everything that looks like a key, or like the password in a URL, replaced by `***`."""
    return _URL_PASSWORD.sub(r"\1***", LOOKS_SECRET.sub("***", text))


def inspect(key: Secret, *, project_ref: str | None = None, now: datetime | None = None) -> ServiceKey:
    """Return the facts of `key`, which must be a service key in form: right kind, role, project and unexpired.

    Raises SecretError, which never quotes the key, when it is anything else.
    """
    text = key.reveal()
    if not text.strip():
        raise SecretError("the service key is empty", hint=WHERE_TO_FIND)
    if text != text.strip() or re.search(r"[^\x21-\x7e]", text):
        raise SecretError(
            "the service key contains blanks, line breaks or other characters that no key has",
            hint="pass the key alone, on one line",
        )
    if _PLACEHOLDER.search(text):
        raise SecretError("the service key is a placeholder", hint=WHERE_TO_FIND)
    if text.startswith("sb_publishable_"):
        raise SecretError("this is a publishable key, which is public: not a service key", hint=WHERE_TO_FIND)
    if text.startswith("sb_secret_"):
        if len(text) < len("sb_secret_") + 16:
            raise SecretError("the secret key is too short: it was cut off when copied", hint=WHERE_TO_FIND)
        return ServiceKey(KeyKind.SECRET, fingerprint(key), None, None)
    return _inspect_jwt(key, project_ref, now or datetime.now(UTC))


def _inspect_jwt(key: Secret, project_ref: str | None, now: datetime) -> ServiceKey:
    import jwt

    try:
        # the signing secret is the platform's: only a live call can prove the signature
        claims = jwt.decode(key.reveal(), options={"verify_signature": False})
    except jwt.InvalidTokenError:
        raise SecretError("the service key is neither a JWT nor an sb_secret_ key", hint=WHERE_TO_FIND) from None
    role = claims.get("role")
    if role != "service_role":
        raise SecretError(
            f"this key is for the role {role!r}, not service_role"
            if isinstance(role, str) and role.isidentifier()
            else "this JWT names no role: it is not an API key of a project",
            hint=WHERE_TO_FIND,
        )
    ref = claims.get("ref")
    if project_ref and ref and ref != project_ref:
        raise SecretError(
            f"this key belongs to the project {ref}, not to {project_ref}",
            hint=f"copy the key of {project_ref}, or give the other project's URL",
        )
    expires_at = None
    if isinstance(claims.get("exp"), int | float):
        try:
            expires_at = datetime.fromtimestamp(claims["exp"], UTC)
        except (OverflowError, ValueError, OSError):
            raise SecretError("the expiry of the service key is not a time", hint=WHERE_TO_FIND) from None
        if expires_at <= now:
            raise SecretError(f"the service key expired on {expires_at:%Y-%m-%d}", hint=WHERE_TO_FIND)
    return ServiceKey(KeyKind.LEGACY, fingerprint(key), ref if isinstance(ref, str) else None, expires_at)
