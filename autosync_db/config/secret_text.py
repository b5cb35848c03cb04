"""Whether a text of the settings file is a secret, which belongs anywhere else.

By its form, where the form is known; by the name that it stands under, where that says so.
"""

import re
from collections.abc import Iterator
from typing import Any

from autosync_db.supabase import opaque
from autosync_db.supabase.key import LOOKS_SECRET

# keys of others that people put into calls
_FOREIGN = re.compile(
    r"\b[sr]k_(?:live|test)_[0-9A-Za-z]{16,}|\bgh[pousr]_[0-9A-Za-z]{36}|\bgithub_pat_[0-9A-Za-z_]{22,}"
    r"|\bxox[abprs]-[0-9A-Za-z-]{10,}|\bAKIA[0-9A-Z]{16}\b|hooks\.slack\.com/services/T\w+/B\w+/\w+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY|\b(?:bearer|basic)\s+[0-9A-Za-z._~+/-]{16,}=*",
    re.IGNORECASE,
)
_URL_PASSWORD = re.compile(r"://[^/@\s:]*:.*@")
_PASSWORD = re.compile(r"\bpassword\s*=", re.IGNORECASE)
# in SQL a column may be called so: only a connection string carries one
_PASSWORD_IN_SQL = re.compile(r"'[^']*\b(?:host|dbname|user)\s*=[^']*'", re.IGNORECASE)
_NAMES = re.compile(
    r"(?:^|[-_.])(?:authorization|api[-_]?key|access[-_]?key|secret|token|password|passwd|pwd|credentials?|cookie"
    r"|(?:subscription|functions|admin|master)[-_]key|bypass)$",
    re.IGNORECASE,
)
_WEAK_NAMES = re.compile(r"(?:^|[-_.])(?:key|code|sig|signature|auth)$", re.IGNORECASE)
# letters of both cases and digits, as words are not mixed; and digits as of a hash
_MIXED = re.compile(r"(?=.*[a-z])(?=.*[A-Z])(?=.*[0-9].*[0-9])[0-9A-Za-z]{12,}")
_HEX = re.compile(r"(?=.*[0-9])(?=.*[A-Fa-f])(?:[0-9a-f]{24,}|[0-9A-F]{24,})")
_OPAQUE = re.compile(r"(?=.*[0-9])(?=.*[A-Za-z])[0-9A-Za-z._~+/=-]{16,}")


def holds_secret(text: str) -> bool:
    """Return whether a text has the form of a secret, or has one in it."""
    return (
        bool(LOOKS_SECRET.search(text) or _FOREIGN.search(text) or _URL_PASSWORD.search(text))
        or bool(_PASSWORD.search(text))
        or opaque.holds_bare(text)
    )


def sql_holds_secret(text: str) -> bool:
    """Return whether a text of SQL has a secret in it."""
    return (
        bool(LOOKS_SECRET.search(text) or _FOREIGN.search(text))
        or bool(re.search(r"://[^/@\s:']*:[^@\s']+@", text))
        or opaque.holds_credential(text)
        or any(_PASSWORD.search(literal[0]) for literal in _PASSWORD_IN_SQL.finditer(text))
    )


def is_named_secret(name: str, value: object) -> bool:
    """Return whether a value stands under a name that only a secret has, or looks like one under a name of its kind."""
    if not isinstance(value, str) or not value:
        return False
    return bool(_NAMES.search(name) or (_WEAK_NAMES.search(name) and _OPAQUE.fullmatch(value)))


def looks_random(text: str) -> bool:
    """Return whether a text is of characters as they are made at random for a secret, whatever it is called."""
    if not re.fullmatch(r"[0-9A-Za-z_-]{20,}", text):
        return False
    return any(_MIXED.fullmatch(run) or _HEX.fullmatch(run) for run in re.findall(r"[0-9A-Za-z]+", text))


def looks_like_a_value(name: str) -> bool:
    """Return whether what should be the name of a secret is rather the secret itself."""
    return bool(re.fullmatch(r"[0-9a-z]{20,}", name)) and len(re.findall(r"[0-9]", name)) >= 4


def strings(value: Any, where: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text in a value of the settings file, with its dotted place."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from strings(inner, f"{where}.{key}" if where else str(key))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner, where)
    elif isinstance(value, str):
        yield where, value
