"""Credentials of no known form in a text of SQL: values that are written out under a name that carries credentials.

What has the form of a key of Supabase's is judged by that form (key.py), here are the others. Names and values stand
as in JSON (`"Authorization": "Bearer …"`), as arguments (`'x-cron-secret', '…'`), or in an address: in its query
(`?key=…`), before its host, or as the path of a web hook, which whoever knows it may call.
"""

import re
from dataclasses import dataclass
from functools import cache

from autosync_db.supabase import key

# a text may be put together of two, and a quote within a literal is doubled
# a blank is one of these, and the borders of words are said, because each of the two programs has others of its own
_JOINED = r"(?:(?:%s['\"]{0,2}[})\]]*)?'[\t-\r ]*(?:\|\||,)[\t-\r ]*')?"
_OPENED, _CLOSED = r"(?:''|['\"])", r"(?=['\"])"
# what it is, or what it is compared with: behind the name, or in a list of values of its own
_IS = r"(?:[:,]|(?:[)][\t-\r ]*)?(?:<>|!=|=))"
_NEXT = rf"(?:::[a-z0-9_]+)?[\t-\r ]*(?:\][\t-\r ]*,[\t-\r ]*array\[|{_IS})[\t-\r ]*e?"
_THEN = rf"{_OPENED}{_NEXT}{_OPENED}"
_NAMED = rf"(?:authorization|key|secret|token|auth|password|bypass|cookie)['\"]{{1,2}}{_NEXT}['\"]"
_TYPED = r"[\t-\r ]+(?:constant[\t-\r ]+)?(?:text|varchar|character[\t-\r ]+varying)(?:[(][0-9]+[)])?"
_GIVEN = rf"(?:(?:{_TYPED})?[\t-\r ]*(?::=|=>)|{_TYPED}(?:[\t-\r ]*=|[\t-\r ]+default[\t-\r ]))[\t-\r ]*e?"
# the first of several, in which a call may be, and a literal
_ARGUMENT = r"(?:[^;,'\"()]|'[^';\"]*'|[(](?:[^;'\"()]|'[^';\"]*')*[)])+,"
_BEGIN, _END = "(?<![a-z0-9_])", "(?![a-z0-9_])"
_WORD = r"[a-z0-9_]*(?:secret|token|password|(?:api|access|auth|cron|private|webhook)_?key)"
# a key of anything, of which only what has no words in it is a secret
_ANY_KEY = (
    r"(?:[a-z]{0,3}_)?(?:(?:service|role|cron|auth|internal|private|admin|edge|worker|webhook|job|shared|master)_)*key"
)


def _value(least: int, least_letters: int, marks: str = "_.~+/=-") -> str:
    """Return a value in a group: so many characters with a digit, or so many more without."""
    ends = f"(?![A-Za-z0-9{marks}])"
    return f"((?=[A-Za-z{marks}]*[0-9])[A-Za-z0-9{marks}]{{{least},}}{ends}|[A-Za-z{marks}]{{{least_letters},}}{ends})"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands, as an expression whose only group is the value.

    `sign` is found in every text in which `expression` is, and quickly: a new session of a server spends 15 ms on the
    expressions before it looks for any.
    """

    name: str
    sign: str
    expression: str


_HEADER = (
    r"(?:(?:proxy-)?authorization|(?:(?!x-)[a-z0-9]+-)?api-?key"
    r"|x-(?!idempotency|cache|dedup|partition|routing|surrogate|trace)[a-z0-9-]*(?:secret|token|key|auth|password|bypass)"
    r"|(?!x-|page-|next-|continuation-|sync-|csrf-)[a-z0-9]+(?:-[a-z0-9]+)*-(?:secret|token|password)"
    r"|[a-z0-9-]*(?:subscription|functions|access|admin|master)-key)"
)
_ANY_MARKS = "!#%@:;?^_.~+/=-"
# the one list: .ci/generate.py writes autosync.holds_credential() from it; upper and lower case are alike
CREDENTIALS = (
    Place(
        "header",
        _NAMED,
        rf"{_OPENED}{_HEADER}"
        rf"{_THEN}(?:(?:bearer|basic|token)[\t-\r ]+)?{_JOINED}{_value(8, 20, _ANY_MARKS)}{_CLOSED}",
    ),
    # also of a setting, whose name has dots
    Place("word", _NAMED, rf"{_OPENED}(?:[a-z0-9_]+\.)*{_WORD}{_THEN}{_value(12, 32, _ANY_MARKS)}{_CLOSED}"),
    Place(
        "argument",
        rf"(?:key|secret|token|password){_GIVEN}['\"]",
        rf"{_BEGIN}{_WORD}{_GIVEN}{_OPENED}{_value(12, 32, _ANY_MARKS)}{_CLOSED}",
    ),
    Place(
        "variable",
        rf"key{_GIVEN}['\"]",
        rf"{_BEGIN}{_ANY_KEY}{_GIVEN}{_OPENED}((?=[a-z+/=]*[0-9])[a-z0-9+/=]{{20,}}){_CLOSED}",
    ),
    Place("scheme", r"bearer[\t-\r ]", rf"['\":=][\t-\r ]*bearer[\t-\r ]+{_JOINED}{_value(16, 32)}"),
    Place(
        "parameter",
        r"[?&][a-z0-9_-]*(?:key|secret|token|password|pass|pwd|jwt|code|sig|signature|auth)=",
        r"[?&](?:[a-z0-9_-]*(?:(?:api|access|auth|cron|functions|private|service|service_role|webhook)[-_]?key"
        r"|secret|token|password)|key|pass|pwd|jwt|code|sig|signature|auth)="
        rf"{_JOINED}{_value(12, 24, '_.~+/=%-')}",
    ),
    Place(
        "cookie",
        _NAMED,
        rf"{_OPENED}cookie{_THEN}[^'\"]*(?:sess|sid|auth|token|jwt)[a-z0-9_.-]{{0,255}}={_value(16, 32)}",
    ),
    Place(
        "user", "://[^/ ]+:[^/ ]+@", r"https?://[^\t-\r /@:'\"]+:((?!%s|pass(?:word|wd)?@|secret@)[^\t-\r /@'\"|]{6,})@"
    ),
    Place(
        "role",
        r"password[\t-\r ]+e?['\"]",
        rf"{_BEGIN}password[\t-\r ]+e?{_OPENED}{_value(8, 20, _ANY_MARKS)}{_CLOSED}",
    ),
    # what is put into the vault; an address is no secret
    Place(
        "stored",
        r"vault[.\"]{1,3}(?:create|update)_secret",
        rf"vault\"?\.\"?(?:create_secret\"?[\t-\r ]*\(|update_secret\"?[\t-\r ]*\({_ARGUMENT})[\t-\r ]*e?"
        rf"{_OPENED}(?!https?://){_value(8, 20, _ANY_MARKS)}{_CLOSED}",
    ),
    # the passphrase behind what is encrypted, and not an option such as cipher-algo=aes256
    Place(
        "passphrase",
        "pgp_sym_(?:en|de)crypt",
        rf"pgp_sym_(?:en|de)crypt(?:_bytea)?[\t-\r ]*\({_ARGUMENT}[\t-\r ]*e?"
        rf"{_OPENED}(?!(?:cipher|compress|s2k|convert|disable|sess|unicode)-){_value(8, 20, _ANY_MARKS)}{_CLOSED}",
    ),
    Place(
        "hook",
        "hooks?[.]|discord|telegram|ifttt",
        r"(?:hooks\.slack\.com/(?:services|workflows|triggers)/[a-z0-9]+/[a-z0-9]+/"
        r"|discord(?:app)?\.com/api/(?:v[0-9]+/)?webhooks/[0-9]+/|api\.telegram\.org/bot|\.webhook\.office\.com/webhookb2/"
        r"|hooks\.zapier\.com/hooks/catch/[0-9]+/|hook\.[a-z0-9]+\.make\.com/"
        r"|maker\.ifttt\.com/trigger/[^\t-\r /'\"]+/with/key/)"
        r"([a-z0-9:_@-]{6,})",
    ),
    Place(
        "form",
        "[sr]k_live_|sk-|gh[pousr]_|github_pat|glpat|xox|whsec|akia|sg[.]",
        _BEGIN
        + r"([sr]k_live_[0-9a-z]{16,}|sk-(?:proj|ant)-[0-9a-z_-]{16,}|gh[pousr]_[0-9a-z]{30,}|github_pat_[0-9a-z_]{22,}"
        r"|glpat-[0-9a-z_-]{16,}|xox[abprs]-[0-9a-z-]{16,}|whsec_[0-9a-z]{16,}|akia[0-9a-z]{16}(?![a-z0-9_])"
        r"|sg\.[0-9a-z_-]{16,}\.[0-9a-z_-]{16,})",
    ),
)
# a text that has none of these need not be looked at; Python looks all the same, and the tests compare the two
SIGNS = tuple(dict.fromkeys(one.sign for one in CREDENTIALS))
# a value of a known form is judged by that, and these are none
_NAMES_A_KEY = (
    r"^[{\[]*(?:(?:my|missing|next|public|vite|supabase|project|service|role|anon|publishable|cron|api|edge|functions?"
    r"|secret)_)+(?:key|secret|token|jwt)[}\]]*$"
)
NONE = rf"^(?:eyJ|sb_|sbp_)|{key.PLACEHOLDER.pattern}|replace|redacted|dummy|[-_]here{_END}|{_NAMES_A_KEY}"
_IN_PLACE_OF_A_KEY = rf"{_NAMES_A_KEY}|[-_]here$|^(?:todo|null|none|undefined|[*]+|\[.*\]|[{{].*[}}])$"
# those that need no name beside them
_BARE = ("user", "hook", "form")


# compiled when a text is looked at: that takes longer than many a command
@cache
def _form(*names: str) -> re.Pattern[str]:
    chosen = [one.expression for one in CREDENTIALS if not names or one.name in names]
    return re.compile("|".join(chosen), re.IGNORECASE | re.ASCII)


@cache
def _none() -> re.Pattern[str]:
    return re.compile(NONE, re.IGNORECASE | re.ASCII)


@cache
def _header() -> re.Pattern[str]:
    return re.compile(_HEADER, re.IGNORECASE | re.ASCII)


def stands_for_a_key(text: str) -> bool:
    """Return whether a text is what stands in an example, or the name of a variable, in place of a key."""
    return re.search(_IN_PLACE_OF_A_KEY, text, re.IGNORECASE) is not None


def is_credential_header(name: str) -> bool:
    """Return whether a header of this name carries a credential."""
    return _header().fullmatch(name) is not None


def holds_credential(text: str) -> bool:
    """Return whether a text has such a value; autosync.holds_credential() in SQL."""
    return any(not _none().search(_value_of(match)) for match in _form().finditer(text))


def holds_bare(text: str) -> bool:
    """Return whether a text has a credential that shows by its form or its address alone."""
    return any(not _none().search(_value_of(match)) for match in _form(*_BARE).finditer(text))


def masked(text: str) -> str:
    """Return a text with *** for every credential."""

    def mask(match: re.Match[str]) -> str:
        value = _value_of(match)
        return match[0] if _none().search(value) else match[0].replace(value, "***")

    return _form().sub(mask, text)


def _value_of(match: re.Match[str]) -> str:
    return next(value for value in match.groups() if value is not None)
