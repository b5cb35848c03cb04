"""API keys made at run time; none of them is anybody's."""

import secrets
import time

import jwt

from autosync_db.secret import Secret

PROJECT_REF = "abcdefghijklmnopqrst"


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
