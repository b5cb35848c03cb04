"""What a service key is, judged by its form alone; nothing here contacts anybody.

Two kinds exist (see docs/explanation/keys.md): the legacy `service_role` JWT, sent as `Authorization: Bearer`, and the
secret key `sb_secret_...`, sent as `apikey`. Their public counterparts (`anon`, `sb_publishable_...`) look
alike, pass the gateway, and then read nothing: they must never be stored as the service key.
"""

import base64
import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from autosync_db.errors import SecretError
from autosync_db.secret import Secret
from autosync_db.supabase import password

WHERE_TO_FIND = "copy the service_role or secret key from the project's Settings > API Keys page"
PLACEHOLDER = re.compile(
    r"your[-_ ]|<.*>|x{6,}|xxxx[-_]xxxx|change[-_]?me|placeholder|redacted|example|\.\.\.|\$\{|\{\{", re.IGNORECASE
)
# of HS256, the shortest in use: 32 bytes in base64
SHORTEST_SIGNATURE = 43
# of a hash the length is fixed (RFC 7518, 3.2), and so it is of these curves (3.4, RFC 8032)
_SIGNATURES = {"HS256": SHORTEST_SIGNATURE, "HS384": 64, "HS512": 86, "ES256": 86, "EdDSA": 86}


@dataclass(frozen=True, slots=True)
class Pattern:
    """A form of key, as regular expressions that Python, PostgreSQL and JavaScript read alike.

    `expression` is what is masked, pieces of a key too; `whole` is what can be a whole key.
    """

    name: str
    expression: str
    whole: str
    is_public: bool = False


# the one list: .ci/generate.py writes autosync.holds_key(), autosync.mask_keys() and key_patterns.ts from it and from
# password.py; judge.py is the same for Python
PATTERNS = (
    # of which role it is, its payload says: see SERVICE; bounded for the reason that password.py gives
    Pattern(
        "jwt",
        r"eyJ[A-Za-z0-9_-]{10,255}\.[A-Za-z0-9_-]{10,}(?:\.[A-Za-z0-9_-]+)*",
        rf"eyJ[A-Za-z0-9_-]{{10,255}}\.[A-Za-z0-9_-]{{10,}}\.[A-Za-z0-9_-]{{{SHORTEST_SIGNATURE},}}",
    ),
    Pattern("secret", "sb_secret_[A-Za-z0-9_-]{8,}", "sb_secret_[A-Za-z0-9_-]{16,}"),
    Pattern("access_token", "sbp_(?:v0_|oauth_)?[0-9a-f]{40}", "sbp_(?:v0_|oauth_)?[0-9a-f]{40}"),
    Pattern(
        "publishable",
        "sb_publishable_[A-Za-z0-9_-]{8,}",
        # what is public must not hide a secret that follows without a gap
        r"sb_publishable_(?![A-Za-z0-9_-]{0,255}(?:sb_secret_|sbp_))[A-Za-z0-9_-]{16,255}(?![A-Za-z0-9_-]|\.[A-Za-z0-9_-]{10,}\.)",
        is_public=True,
    ),
)
# how every pattern begins, and what every password stands beside: what lacks them need not be looked at
BEGINNINGS = ("eyJ", "sb", "postgres", "assword")


def in_base64(text: str) -> str:
    """Return a pattern for a text within base64, at each of the three places that it may have there."""
    found = []
    for lead in range(3):
        encoded = base64.b64encode(b"\0" * lead + text.encode()).decode().rstrip("=")
        # characters that also hold bits of what is around
        first = -(-lead * 8 // 6)
        found.append(encoded[first : (lead + len(text)) * 8 // 6])
    return "|".join(found)


# in the payload of a JWT: of the public key, of the secret one
ANON, SERVICE = in_base64('"anon"'), in_base64('"service_role"')
# what the keys of every local Supabase stack are signed with, by HMAC with SHA-256, and everybody knows
SAMPLE_SIGNING_SECRETS = (
    b"super-secret-jwt-token-with-at-least-32-characters-long",
    b"your-super-secret-jwt-token-with-at-least-32-characters-long",
)
# of the secret key that the Supabase CLI gives every local stack
SAMPLE_DIGEST = "c85debb55f2f204d868cc1552c42faa143b4c675f61363ab040dd50b5b5304cd"
SECRETS = "|".join(pattern.expression for pattern in PATTERNS if not pattern.is_public)
KEYS = "|".join(pattern.expression for pattern in PATTERNS)
LOOKS_SECRET = re.compile(SECRETS)
_JWT = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+){2}")
# a quotation mark or a name, as in a line of an .env file
_AROUND = re.compile(r"^[^A-Za-z0-9_-]|^\w+[=:]|[\"'`,;)]$")
_PUBLISHABLE = re.compile(r"sb_publishable_[A-Za-z0-9_-]{16,}")


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
    """Return hex digits that tell two secrets apart and help nobody to find either; autosync.fingerprint() in SQL.

    Twelve for what has the length of a key. A shorter value might be guessed from them, so it gets four.
    """
    text = secret.reveal()
    return hashlib.sha256(text.encode()).hexdigest()[: 4 if len(text) < 20 else 12]


def headers(key: Secret) -> dict[str, str]:
    """Return the header that carries a service key, as autosync.dispatch() sends it."""
    text = key.reveal()
    return {"apikey": text} if text.startswith("sb_") else {"authorization": f"Bearer {text}"}


def is_public(key: Secret) -> bool:
    """Return whether everybody may know a key by its form: a publishable key, or the JWT of the role anon."""
    if key.reveal().startswith("sb_"):
        return bool(_PUBLISHABLE.fullmatch(key.reveal()))
    return claims(key).get("role") == "anon"


def inspect_public(key: Secret, *, project_ref: str | None = None, now: datetime | None = None) -> None:
    """Return if a public key can be one of the project `project_ref`, None for any. Raises SecretError when it cannot.

    A publishable key names neither project nor expiry.
    """
    found = claims(key)
    if project_ref and found.get("iss") == "supabase-demo":
        raise SecretError(
            f"this is the public key of every local Supabase stack, not one of {project_ref}",
            hint="pass the project's publishable or anon key",
        )
    ref, expires_at = found.get("ref"), found.get("exp")
    if project_ref and ref and ref != project_ref:
        raise SecretError(
            f"this public key belongs to {_project(ref)}, not to {project_ref}", hint=f"pass the key of {project_ref}"
        )
    if isinstance(expires_at, int | float) and expires_at <= (now or datetime.now(UTC)).timestamp():
        raise SecretError("this public key has expired", hint="pass the project's publishable or anon key")


def claims(key: Secret) -> dict[str, Any]:
    """Return what a JWT says, unproven; nothing for what is none."""
    import jwt

    try:
        return dict(jwt.decode(key.reveal(), options={"verify_signature": False}))
    except jwt.InvalidTokenError:
        return {}


def redact(text: str) -> str:
    """Return `text` with everything that looks like a key or like a password of a database replaced by `***`."""
    return password.masked(re.sub(KEYS, "***", text))


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
            hint="pass only the key, on one line",
        )
    if PLACEHOLDER.search(text):
        raise SecretError("the service key is a placeholder", hint=WHERE_TO_FIND)
    if text.startswith("sb_publishable_"):
        raise SecretError("this is a publishable key, which is public: not a service key", hint=WHERE_TO_FIND)
    if text.startswith("sbp_"):
        raise SecretError("this is the access token of an account, not a key of a project", hint=WHERE_TO_FIND)
    if _AROUND.search(text) and LOOKS_SECRET.search(text):
        raise SecretError(
            "the service key has something around it that is no part of it",
            hint="pass the key alone, without quotation marks and without a name before it",
        )
    if text.startswith("sb_secret_"):
        if len(text) < len("sb_secret_") + 16:
            raise SecretError("the secret key is too short: it was cut off when copied", hint=WHERE_TO_FIND)
        if not re.fullmatch(r"[A-Za-z0-9_-]+", text):
            raise SecretError(
                "the secret key holds characters that no key has: it was copied while part of it was hidden",
                hint="reveal it first, then " + WHERE_TO_FIND,
            )
        return ServiceKey(KeyKind.SECRET, fingerprint(key), None, None)
    return _inspect_jwt(key, project_ref, now or datetime.now(UTC))


def _is_readable_in_sql(claims: dict[str, Any]) -> bool:
    """Return whether jsonb can hold the claims: no NUL, no half of a pair of surrogates, no NaN."""
    try:
        text = json.dumps(claims, ensure_ascii=False, allow_nan=False)
        text.encode()
    except (ValueError, RecursionError):
        return False
    return r"\u0000" not in text


def _inspect_jwt(key: Secret, project_ref: str | None, now: datetime) -> ServiceKey:
    import jwt

    text = key.reveal()
    head, *_, signature = (*text.split("."), "", "")[:3]
    cut_off = SecretError("the service key has no complete signature: it was cut off when copied", hint=WHERE_TO_FIND)
    if head.startswith("eyJ") and len(signature) < SHORTEST_SIGNATURE:
        raise cut_off
    try:
        # the signing secret is the platform's: only a live call can prove the signature; what is not of the alphabet
        # would be passed over
        decoded = jwt.decode_complete(text, options={"verify_signature": False}) if _JWT.fullmatch(text) else None
    except jwt.InvalidTokenError:
        decoded = None
    if decoded is None or not all(_is_readable_in_sql(decoded[part]) for part in ("header", "payload")):
        raise SecretError("the service key is neither a JWT nor an sb_secret_ key", hint=WHERE_TO_FIND)
    whole = _SIGNATURES.get(str(decoded["header"].get("alg")), len(signature))
    if len(signature) < whole:
        raise cut_off
    if len(signature) > whole:
        raise SecretError("the service key has text after its signature", hint="pass the key alone")
    claims = decoded["payload"]
    role = claims.get("role")
    if role != "service_role":
        raise SecretError(
            f"this key is for the role {role!r}, not service_role"
            if isinstance(role, str) and role.isidentifier()
            else "this JWT names no role: it is not an API key of a project",
            hint=WHERE_TO_FIND,
        )
    if project_ref and claims.get("iss") == "supabase-demo":
        raise SecretError(
            f"this is the key of every local Supabase stack, which everyone knows, not one of {project_ref}",
            hint=WHERE_TO_FIND,
        )
    ref, expiry = claims.get("ref"), claims.get("exp")
    if project_ref and ref and ref != project_ref:
        raise SecretError(
            f"this key belongs to {_project(ref)}, not to {project_ref}",
            hint=f"copy the key of {project_ref}, or give the other project's URL",
        )
    expires_at = None
    if expiry is not None:
        try:
            expires_at = datetime.fromtimestamp(expiry, UTC)
        except (OverflowError, ValueError, OSError, TypeError):
            raise SecretError("the expiry of the service key is not a time", hint=WHERE_TO_FIND) from None
        if expires_at <= now:
            raise SecretError(f"the service key expired on {expires_at:%Y-%m-%d}", hint=WHERE_TO_FIND)
    return ServiceKey(KeyKind.LEGACY, fingerprint(key), ref if isinstance(ref, str) else None, expires_at)


def _project(ref: object) -> str:
    """Return how a message calls the project that a JWT names; what a JWT says may be anything."""
    is_plain = isinstance(ref, str) and re.fullmatch(r"[A-Za-z0-9-]{1,40}", ref)
    return f"the project {ref}" if is_plain else "another project"
