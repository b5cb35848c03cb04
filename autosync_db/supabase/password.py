"""Passwords of databases where they stand in an address or in a connection string, by their form.

Every expression has three groups, of which the second is the password, and is read alike by Python, PostgreSQL and
JavaScript: a blank is a tab, one of the characters to the carriage return, or a space, for each of the three has others
besides. None goes over a line.

A text may be made so that an expression begins everywhere and goes to its end each time: what may not be there is
looked for in the next 255 characters alone, which is as far as PostgreSQL counts.
"""

import re
from collections.abc import Iterator
from functools import cache

# begins a group that is not gone back into; for the others, who have none, .ci/generate.py writes any group, with which
# the same is found
ONCE = "(?>"

# an unescaped @, /, # or ? belongs to the password, so that no piece of one stays; a quote within a word does, too
_PLAIN, _QUOTED = r"[^\t-\r '\"\u0060]", r"['\"\u0060]+[0-9A-Za-z]"
_CHARACTERS = rf"(?=[^\t-\r ]{{1,255}}@)(?:{_PLAIN}|{_QUOTED}){_PLAIN}*(?:{_QUOTED}{_PLAIN}*)*"
_USER = r"://[^\t-\r :/@'\"\u0060]*:"
# host:port/database, and no user:password
_NO_PORT = r"(?![0-9]{1,5}[/?#,])"
_POSTGRES = r"postgres(?:ql)?(?:\+[a-z0-9_]+)?"
_HOST = r"@(?:\[[0-9A-Fa-f:.]*\]|[A-Za-z0-9_.-]*)"
_IN_QUERY = r"[^\t-\r '\"\u0060&#]+"
# of libpq's `host=... password=...`; what ends in a comma or a semicolon is code
_WORD = r"[^\t-\r '\"\u0060]*[^\t-\r '\"\u0060,;]"
_VALUE = rf"(?:''[^'\n]*''|'(?:[^'\\\n]|\\[^\n])*'|{_WORD})"
# one that is not the last: a blank ends it, so nothing is won by going back in it
_MORE = r"(?=[^\t-\r ]{1,255}[\t-\r ])" + _VALUE.replace(_WORD, f"{ONCE}{_WORD})")
_PAIRS = rf"(?:[ \t]+[A-Za-z_]+[ \t]*=[ \t]*{_MORE}){{0,9}}[ \t]+"
_PLACE = r"(?:[Hh]ost(?:addr)?|dbname)[ \t]*=[ \t]*"
_NAME = r"[Pp]assword[ \t]*=[ \t]*"
_PAIRED = (rf"({_PLACE}{_MORE}{_PAIRS}{_NAME})({_VALUE})()", rf"({_NAME})({_MORE})({_PAIRS}{_PLACE}{_VALUE})")

FORMS = (
    rf"({_POSTGRES}{_USER}{_NO_PORT})({_CHARACTERS})({_HOST})",
    rf"({_POSTGRES}://{_PLAIN}{{0,255}}[?&]password=)({_IN_QUERY})()",
    *_PAIRED,
)
# what is masked: the password of any address, placeholders too
MASKED = (rf"({_USER}{_NO_PORT})({_CHARACTERS})(@)", rf"([?&]password=)({_IN_QUERY})()", *_PAIRED)
MASK = r"\1***\3"
# a variable, a format, a word in capitals or what stands between two literals, where a password would be
NONE = (
    r"^\[.*\]$", r"^[$#%@]?\{.*\}$", r"^\$\(.*\)$", r"^\$[A-Z_][A-Z0-9_]*$", r"^\$[a-z_]+$", r"^\$[0-9]+$",
    r"^%[0-9$]*[sLIvd]$", r"^%\([A-Za-z_]+\)s$", r"^%[A-Z_]+%$", r"^:[a-z_]+$", r"^[xX*.-]+$",
    r"^[A-Z_]*(?:PASS|PASSWORD|PASSWD|PWD|SECRET)[A-Z_]*$", r"^(?:[Yy]our|[Mm]y)[-_]?(?:secret[-_]?)?pass(?:word)?$",
    r"^[\t-\r ]", r"[\t-\r ]$", r"^[+|]",
)  # fmt: skip
# everybody's first guess: no secret at a host of this machine or of a container beside it
KNOWN = r"^(?:postgres|password|passwd|pass|pwd|pw|secret|mysecretpassword)$"
_LOCAL_HOST = r"(?:localhost|127\.[0-9.]+|0\.0\.0\.0|\[?::1\]?|host\.docker\.internal|[A-Za-z0-9_-]*)"
LOCAL = (
    f"@{_LOCAL_HOST}$",
    rf"://(?:[^@:/]*@)?{_LOCAL_HOST}(?::[0-9]+)?[/?]",
    rf"[Hh]ost(?:addr)?[ \t]*=[ \t]*'*{_LOCAL_HOST}(?:[\t-\r ']|$)",
    r"^(?!.*(?:[Hh]ost|://))",
)  # fmt: skip

# what a variable is set to, in a file of variables, a workflow or a script; the second of a value without quotes
ASSIGNED = (
    r"(?<![A-Za-z0-9_])(?:[A-Z0-9_]+_)?(?:PGPASSWORD|(?:DB|DATABASE|POSTGRES|POSTGRESQL|PG)_PASS(?:WORD|WD)?)['\"]?"
    r"[ \t]*[:=][ \t]*(?:'([^'\n]+)'|\"([^\"\n]+)\"|([^\s'\"\u0060]+))"
)
# where the value is, or what reads it
_REFERENCE = (
    r"^(?:\$[{(A-Za-z_]|\{|/|ENC\[|(?:op|vault|ssm|arn|gcp|aws|sops|keyring|ref(?:\+\w+)?):)"
    r"|^(?:process|import|os|env|secrets?|vars|inputs|config|settings|Deno|Bun|args|self|this)[.\[(]"
)
# a word is a name or everybody's guess
_OPAQUE = r"^(?=.*[0-9!#%^&*@~?+]).{8,}$|^.{20,}$"


# compiled when a text is looked at: that takes longer than the rest of this module
@cache
def _compiled(expression: str) -> re.Pattern[str]:
    return re.compile(expression)


def is_none(text: str) -> bool:
    """Return whether what stands where a password would is something else."""
    return bool(_compiled("|".join(NONE)).search(text))


def is_known(text: str, around: str) -> bool:
    """Return whether everybody knows a password, which stands in `around`, and nobody else reaches its server."""
    return bool(re.search(KNOWN, text) and _compiled("|".join(LOCAL)).search(around))


def assigned(text: str) -> Iterator[re.Match[str]]:
    """Yield where a variable for a password of a database is given one that looks real; not where by a reference."""
    for match in _compiled(ASSIGNED).finditer(text):
        value = next(one for one in match.groups() if one)
        bare = value if match[3] is None else value.rstrip(",;")
        is_code = match[3] is not None and re.search(r"[(\[]|^[*&!]", bare)
        if not (is_code or is_none(bare) or re.search(_REFERENCE, bare)) and re.search(_OPAQUE, bare):
            yield match


def masked(text: str) -> str:
    """Return `text` with everything that looks like a password of a database, or of an address, replaced by `***`."""
    for expression in MASKED:
        text = _compiled(expression).sub(MASK, text)
    return text
