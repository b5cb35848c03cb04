"""The key, the URL and this database belong to one project."""

import re

from autosync_db import project, secret_store
from autosync_db.checks.model import Check, Row
from autosync_db.config import Configuration
from autosync_db.connection import Connection

_KEY = "secret service_role_key"
_URL = "secret project_url"


def _look(connection: Connection, configuration: Configuration) -> list[Row]:
    stored = secret_store.read(connection, secret_store.PROJECT_URL)
    key = connection.execute("select f.project_ref from autosync.service_key_facts() as f").fetchone()
    if stored is None or key is None:
        return [Row("unknown", _URL if stored is None else _KEY, "is not stored, or this role cannot see it")]
    called = _ref_of(stored.reveal())
    if called is None:
        return []
    rows = []
    if key[0] and re.fullmatch(r"[a-z]{20}", key[0]) and key[0] != called:
        rows.append(Row("critical", _KEY, f"is a key of the project {key[0]}, but project_url names {called}"))
    own = configuration.target.project_ref or _ref_of_database(connection)
    if own and own != called:
        rows.append(Row("critical", _URL, f"names the project {called}, but this database is that of {own}"))
    return rows


def _ref_of(project_url: str) -> str | None:
    try:
        return project.ref_of(project_url.strip())
    except ValueError:
        return None


def _ref_of_database(connection: Connection) -> str | None:
    """Return the ref in the address of a hosted database, direct or pooled; None for any other."""
    direct = re.fullmatch(r"db\.([a-z]{20})\.supabase\.(co|in)", connection.info.host)
    pooled = re.fullmatch(r"[^.]+\.([a-z]{20})", connection.info.user)
    if direct:
        return direct[1]
    return pooled[1] if pooled and connection.info.host.endswith(".pooler.supabase.com") else None


CHECK = Check(
    layer="secrets",
    claim="the key, the URL and this database belong to one project",
    remedy="autosync-db setup --project-ref REF --service-role-key-file PATH",
    needs=("head_applied", "secrets_present", "project_url_valid"),
    look=_look,
)
