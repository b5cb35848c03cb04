"""The API keys of a local stack."""

import json
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import jwt

from autosync_db.local.state import KeyKind, write_private
from autosync_db.secret import Secret

_YEAR_SECONDS = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Keys:
    """What a stack's tokens are signed with, its public key, and the key that its functions accept."""

    jwt_secret: Secret
    anon: Secret
    service: Secret


def service_file(folder: Path) -> Path:
    """Return the file of the service key, which a target names."""
    return folder / "service_role_key"


def create(folder: Path, kind: KeyKind) -> None:
    """Make new keys; the service key is a JWT that holds for a year if `kind` is legacy, else an sb_secret_ key."""
    signing = secrets.token_urlsafe(48)
    now = int(datetime.now(UTC).timestamp())
    claims = {"iss": "supabase", "ref": "local", "iat": now, "exp": now + _YEAR_SECONDS}
    anon = jwt.encode({**claims, "role": "anon"}, signing, algorithm="HS256")
    service = (
        jwt.encode({**claims, "role": "service_role"}, signing, algorithm="HS256")
        if kind == "legacy"
        else f"sb_secret_{secrets.token_urlsafe(32)}"
    )
    write_private(folder / "keys.json", json.dumps({"jwt_secret": signing, "anon": anon}))
    write_private(service_file(folder), service + "\n")


def load(folder: Path) -> Keys:
    """Return the keys of the stack in `folder`."""
    found: dict[str, str] = json.loads((folder / "keys.json").read_text(encoding="utf-8"))
    service = service_file(folder).read_text(encoding="utf-8").strip()
    return Keys(Secret(found["jwt_secret"]), Secret(found["anon"]), Secret(service))
