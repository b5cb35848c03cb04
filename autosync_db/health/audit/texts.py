"""What the text of a cron job does, as far as an audit speaks of it."""

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from autosync_db.jobs import command_text, found
from autosync_db.jobs.command_text import Call
from autosync_db.jobs.found import DatabaseFacts, FoundJob
from autosync_db.jobs.sql_values import Origin, Untranslatable
from autosync_db.jobs.sql_values import Text as SqlText
from autosync_db.jobs.translation import Names, translate
from autosync_db.supabase import key

_CREDENTIAL = re.compile(r"auth|api-?_?key|(^|[-_])(key|token|secret|signature|password|pass)s?$", re.IGNORECASE)
_SCHEME = re.compile(r"^(Bearer|Basic|Token)\s+", re.IGNORECASE)
_SHORTEST = 8


@dataclass(frozen=True, slots=True)
class Text:
    """A text: `same` is equal for texts that make the same call; `secrets` and `missing` are places, never values."""

    kind: str
    calls: tuple[str, ...] = ()
    same: str | None = None
    secrets: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    has_no_timeout: bool = False
    reason: str | None = None


def read_text(job: FoundJob, facts: DatabaseFacts, helpers: frozenset[str]) -> Text:
    """Return what a text does; what it reads at run time is asked for in the database, without its value."""
    reading = command_text.read(job.command)
    pasted = ("as it is written",) if holds_key(job.command) else ()
    helper = found.helper_of(reading, helpers)
    if reading.kind != "autosync" and helper is not None:
        return Text(
            "helper",
            same=" ".join(job.command.split()).rstrip("; "),
            secrets=pasted,
            reason=f"it calls through {helper}",
        )
    if reading.call is None:
        return Text(reading.kind, secrets=pasted, reason=reading.reason)
    call = reading.call
    return Text(
        "call",
        (_called(call, facts),),
        repr((call.method, _address(call, facts), sorted(call.query.items()), call.body)),
        tuple(_secrets(call)) or pasted,
        tuple(_missing(call, facts)),
        has_no_timeout=call.timeout_milliseconds is None and any(name[0] == "net" for name in reading.functions),
    )


def _called(call: Call, facts: DatabaseFacts) -> str:
    """Return the function, or host and path of another address; a query may hold what is nobody's business."""
    try:
        table = translate(_without_headers(call), facts, Names(), "job").table
    except Untranslatable:
        table = {}
    if "function" in table:
        return str(table["function"]).partition("?")[0]
    address = _address(call, facts)
    parts = urlsplit(address)
    if "/functions/v1/" in parts.path:
        return parts.path.partition("/functions/v1/")[2]
    return f"{parts.hostname or '?'}{parts.path}" if parts.scheme else address


def _without_headers(call: Call) -> Call:
    """Return the call without headers: whom it calls does not depend on them."""
    return Call(call.method, call.url, call.query, {}, None, call.timeout_milliseconds)


def _address(call: Call, facts: DatabaseFacts) -> str:
    """Return the address as far as it can be known and shown; both hosts of functions are one."""
    shown = ""
    for part in call.url.parts:
        shown += (facts.origin_of(part) or f"({part})").rstrip("/") if isinstance(part, Origin) else str(part)
    shown = key.redact(shown)
    host = urlsplit(shown.partition("(")[0]).hostname or ""
    if host.endswith((".functions.supabase.co", ".functions.supabase.in")):
        ref, _, rest = host.partition(".functions.")
        path = shown.partition(host)[2]
        return f"https://{ref}.{rest}/functions/v1{path}"
    return shown


def _secrets(call: Call) -> list[str]:
    """Return the places in a call that hold a secret in so many words."""
    places = [
        f"header {name}"
        for name, text in call.headers.items()
        if text.literal is not None and _is_pasted(name, text.literal)
    ]
    places += [
        f"parameter {name}"
        for name, text in call.query.items()
        if text.literal is not None and _is_pasted(name, text.literal)
    ]
    written = "".join(part for part in call.url.parts if isinstance(part, str))
    query = urlsplit(written).query if "?" in written else ""
    places += [
        f"parameter {name}"
        for name, _, value in (pair.partition("=") for pair in query.split("&"))
        if _is_pasted(name, value)
    ]
    return places


def _missing(call: Call, facts: DatabaseFacts) -> list[str]:
    """Return the headers and the address whose value is not there, so that SQL makes them null."""
    sources = [(f"its header {name}", part) for name, text in call.headers.items() for part in _origins(text)]
    sources += [("its address", part) for part in _origins(call.url)]
    return [f"{what} comes from {part}, which is not there" for what, part in sources if facts.kind(part) == "missing"]


def holds_key(text: str) -> bool:
    """Return whether a text holds what looks like a secret key; a placeholder or a public key is none."""
    return any(_is_key(one[0]) for one in key.LOOKS_SECRET.finditer(text))


def _is_key(text: str) -> bool:
    return not re.search(key.ANON, text) and not key.PLACEHOLDER.search(text)


def _is_pasted(name: str, value: str) -> bool:
    """Return whether a header or parameter shows a secret that is written out."""
    value = _SCHEME.sub("", value.strip())
    if re.match("sb_publishable_|eyJ", value) or key.LOOKS_SECRET.search(value):
        return holds_key(value)
    return len(value) >= _SHORTEST and bool(_CREDENTIAL.search(name)) and not key.PLACEHOLDER.search(value)


def _origins(text: SqlText) -> list[Origin]:
    return [part for part in text.parts if isinstance(part, Origin)]
