"""What the text of a cron job does, as far as an audit speaks of it."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from autosync_db.jobs import command_text, found
from autosync_db.jobs.command_text import Call
from autosync_db.jobs.found import DatabaseFacts, FoundJob
from autosync_db.jobs.sql_values import Origin, Untranslatable
from autosync_db.jobs.sql_values import Text as SqlText
from autosync_db.jobs.translation import Names, translate
from autosync_db.supabase import judge, key, opaque
from autosync_db.supabase.judge import Kind

_KINDS = {
    Kind.LEGACY: "a legacy service key",
    Kind.SECRET: "a secret key",
    Kind.ACCESS_TOKEN: "an access token",
    Kind.DATABASE_PASSWORD: "the password of a database",
}


@dataclass(frozen=True, slots=True)
class Text:
    """A text: `same` is equal for texts that make the same call; `secrets` are kinds, `missing` places."""

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
    secrets = secrets_in(job.command)
    helper = found.helper_of(reading, helpers)
    if reading.kind != "autosync" and helper is not None:
        return Text(
            "helper",
            same=" ".join(job.command.split()).rstrip("; "),
            secrets=secrets,
            reason=f"it calls through {helper}",
        )
    if reading.call is None:
        return Text(reading.kind, secrets=secrets, reason=reading.reason)
    call = reading.call
    return Text(
        "call",
        (_called(call, facts),),
        repr((call.method, _address(call, facts), sorted(call.query.items()), call.body)),
        secrets,
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


def _missing(call: Call, facts: DatabaseFacts) -> list[str]:
    """Return the headers and the address whose value is not there, so that SQL makes them null."""
    sources = [(f"its header {name}", part) for name, text in call.headers.items() for part in _origins(text)]
    sources += [("its address", part) for part in _origins(call.url)]
    return [f"{what} comes from {part}, which is not there" for what, part in sources if facts.kind(part) == "missing"]


def secrets_in(text: str) -> tuple[str, ...]:
    """Return what kinds of secrets a text holds; those of no known form by the name that they stand under."""
    kinds = [_KINDS[one.kind] for one in judge.found_in(text) if not one.kind.is_public]
    return tuple(dict.fromkeys(kinds)) or (("a credential",) if opaque.holds_credential(text) else ())


def _origins(text: SqlText) -> list[Origin]:
    return [part for part in text.parts if isinstance(part, Origin)]
