"""Credentials of no known form in a text of SQL: values that are written out under a name that carries credentials.

What has the form of a key is judged by that form (key.py), here are the others. Names and values stand as in JSON
(`"Authorization": "Bearer …"`), as arguments (`'x-cron-secret', '…'`), or in an address (`?key=…`).
"""

import re

from autosync_db.supabase import key
from autosync_db.supabase.key import Pattern

# a text may be put together of two, and a quote within a literal is doubled
_JOINED = r"(?:(?:%s)?'\s*(?:\|\||,)\s*')?"
_OPENED, _CLOSED = r"(?:''|['\"])", r"(?=['\"])"
_THEN = rf"{_OPENED}(?:::\w+)?\s*[:,]\s*e?{_OPENED}"
_WORD = r"[a-z0-9_]*(?:secret|token|password|api_?key|access_?key)"


def _value(least: int, least_letters: int, marks: str = "_.~+/=-") -> str:
    """Return a value in a group: so many characters with a digit, or so many more without."""
    ends = f"(?![A-Za-z0-9{marks}])"
    return f"((?=[A-Za-z{marks}]*[0-9])[A-Za-z0-9{marks}]{{{least},}}{ends}|[A-Za-z{marks}]{{{least_letters},}}{ends})"


_ANY_MARKS = "!#%@:;?^_.~+/=-"
# the one list: .ci/generate.py writes autosync.holds_credential() from it; upper and lower case are alike
CREDENTIALS = (
    Pattern(
        "header",
        rf"{_OPENED}(?:(?:proxy-)?authorization|api-?key"
        r"|x-(?!idempotency|cache|dedup|partition|routing|surrogate|trace)[a-z0-9-]*(?:secret|token|key|auth|password))"
        rf"{_THEN}(?:(?:bearer|basic|token)\s+)?{_JOINED}{_value(8, 20, _ANY_MARKS)}{_CLOSED}",
    ),
    Pattern("word", rf"{_OPENED}{_WORD}{_THEN}{_value(12, 32, _ANY_MARKS)}{_CLOSED}"),
    Pattern(
        "argument",
        rf"\m{_WORD}(?:\s+(?:constant\s+)?(?:text|varchar))?\s*(?::=|=>)\s*e?{_OPENED}"
        rf"{_value(12, 32, _ANY_MARKS)}{_CLOSED}",
    ),
    Pattern("scheme", rf"['\":=]\s*bearer\s+{_JOINED}{_value(16, 32)}"),
    Pattern(
        "parameter",
        r"[?&](?:[a-z0-9_-]*(?:api[-_]?key|secret|token|password)|key|code|sig|signature|auth)="
        rf"{_JOINED}{_value(12, 24)}",
    ),
)
# what lacks all of these need not be looked at
NAMES = "authorization|key|secret|token|password|auth|bearer|code|sig"
# a value of a known form is judged by that, and these are none
NONE = rf"^(?:eyJ|sb_|sbp_)|{key.PLACEHOLDER.pattern}|replace|redacted|dummy|[-_]here\M"
_FOUND = re.compile("|".join(one.expression.replace(r"\m", r"\b") for one in CREDENTIALS), re.IGNORECASE)
_NONE = re.compile(NONE.replace(r"\M", r"\b"), re.IGNORECASE)


def holds_credential(text: str) -> bool:
    """Return whether a text has such a value; autosync.holds_credential() in SQL."""
    return any(
        not _NONE.search(next(value for value in match.groups() if value is not None))
        for match in _FOUND.finditer(text)
    )
