"""The folder `supabase/` of the Supabase CLI: the project that `supabase link` chose, and what config.toml names.

The CLI keeps in supabase/.temp what it learned when it linked a project: its ref, and the address of its pooler
without the password. Other projects have a table [remotes.NAME] in supabase/config.toml.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from autosync_db import user_files
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import address

FOLDER = "supabase"
CONFIG = "config.toml"
PASSWORD_VARIABLE = "SUPABASE_DB_PASSWORD"  # noqa: S105 - the name of a variable
_REF_FILE = Path(".temp/project-ref")
_POOLER_FILE = Path(".temp/pooler-url")
# the password is sent there, so it must be Supabase's own host; older versions of the CLI keep a placeholder in it
_POOLER = re.compile(
    r"postgres(?:ql)?://([\w-]+)\.([a-z]{20})(?::\[YOUR-PASSWORD\])?@([a-z0-9-]+\.pooler\.supabase\.com)"
    r"(?::\d+)?/(\w+)(?:\?\S*)?"
)
_LONGEST = 4096
_NAME = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class Link:
    """The project that `supabase link` chose; `pooler` is its session pooler as USER@HOST:PORT/DATABASE parts."""

    project_ref: str
    pooler: tuple[str, str, str] | None = None

    def database_url(self, password: Secret) -> Secret:
        """Return the address of the project's database: its pooler where that is known, else its own host."""
        return _pooled(*self.pooler, password) if self.pooler else direct_url(self.project_ref, password)


def find(start: Path) -> Path | None:
    """Return the nearest folder of the CLI, from `start` up the tree, None where there is none."""
    for folder in (start, *start.parents):
        found = folder / FOLDER
        if (found / CONFIG).is_file() or (found / _REF_FILE).is_file():
            return found
    return None


def link(folder: Path) -> Link | None:
    """Return the project that is linked, None where none is. A file that holds something else counts as absent."""
    ref = _text(folder / _REF_FILE)
    if ref is None or not address.is_ref(ref):
        return None
    found = _POOLER.fullmatch(_text(folder / _POOLER_FILE) or "")
    # a link that was changed by half leaves the other project's pooler
    if found is None or found[2] != ref:
        return Link(ref)
    return Link(ref, (f"{found[1]}.{ref}", found[3], found[4]))


def values(folder: Path) -> Mapping[str, Any]:
    """Return what config.toml holds, nothing where there is none. Raises UsageError when it cannot be read."""
    path = folder / CONFIG
    with user_files.toml_refusals(path):
        if path.exists() and not path.is_file():
            raise UsageError(f"{path} is no file", hint="make one with: supabase init")
        try:
            text = path.read_text(encoding="utf-8-sig")
        except FileNotFoundError:
            return {}
        return tomllib.loads(text)


def remotes(folder: Path) -> dict[str, str]:
    """Return the ref of each [remotes.NAME] of config.toml that names a project."""
    tables = values(folder).get("remotes")
    found = {}
    for name, table in tables.items() if isinstance(tables, dict) else ():
        ref = table.get("project_id") if isinstance(table, dict) else None
        if isinstance(ref, str) and address.is_ref(ref) and _NAME.fullmatch(name):
            found[name] = ref
    return found


def targets(folder: Path | None, production: str | None = None) -> dict[str, str | None]:
    """Return the targets that a settings file is to have, with their refs: `production` first, then the remotes.

    `production` is the given project, else the linked one; its ref is None where none is known. A remote that is the
    same project is no target of its own, unless it is the one that is called production.
    """
    others = remotes(folder) if folder else {}
    linked = link(folder) if folder else None
    chosen = production or others.get("production") or (linked.project_ref if linked else None)
    found: dict[str, str | None] = {"production": chosen}
    found |= {name: ref for name, ref in others.items() if name != "production" and ref != chosen}
    if linked and linked.project_ref not in found.values():
        found["linked"] = linked.project_ref
    return found


def direct_url(project_ref: str, password: Secret) -> Secret:
    """Return the address of a project's own database host, which has IPv6 only unless IPv4 is paid for."""
    return Secret(f"postgresql://postgres:{_quoted(password)}@{address.database_host(project_ref)}:5432/postgres")


def _pooled(user: str, host: str, database: str, password: Secret) -> Secret:
    # session mode: the file has what the project's pool is set to, and 6543 is the transaction mode
    return Secret(f"postgresql://{user}:{_quoted(password)}@{host}:5432/{database}")


def _quoted(password: Secret) -> str:
    return quote(password.reveal(), safe="")


def _text(path: Path) -> str | None:
    """Return the one line of a file of the CLI; None for what is none, such as a pipe or a large file."""
    try:
        if not path.is_file() or path.stat().st_size > _LONGEST:
            return None
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
