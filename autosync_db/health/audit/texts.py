"""What the text of a cron job does, as far as an audit speaks of it."""

import re
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from autosync_db.jobs import twins
from autosync_db.jobs.found import DatabaseFacts, FoundJob
from autosync_db.jobs.texts import command_text, translation
from autosync_db.jobs.texts.command_text import Call
from autosync_db.jobs.texts.sources import SERVICE_KINDS
from autosync_db.jobs.texts.sql_values import Origin, Untranslatable
from autosync_db.jobs.texts.sql_values import Text as SqlText
from autosync_db.jobs.twins import Functions, Understood
from autosync_db.supabase import judge, key, opaque
from autosync_db.supabase.judge import Kind

_KINDS = {
    Kind.LEGACY: "a legacy service key",
    Kind.SECRET: "a secret key",
    Kind.ACCESS_TOKEN: "an access token",
    Kind.DATABASE_PASSWORD: "the password of a database",
}
# what ends a block before its call
_GUARD = re.compile(r"\bthen\s+(?:return|raise(?!\s+(?:debug|log|info|notice|warning)))\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """A text: `same` is equal for texts that do the same; `secrets` are kinds.

    `missing` says what its call does not find and what comes of it, `undone` why its call is never sent, and
    `misplaced` which credentials are in the address where they help nobody.
    """

    kind: str
    calls: tuple[str, ...] = ()
    same: Understood | None = None
    secrets: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    undone: str | None = None
    misplaced: tuple[str, ...] = ()
    has_no_timeout: bool = False
    reason: str | None = None


def read_text(job: FoundJob, facts: DatabaseFacts, functions: Functions) -> Text:
    """Return what a text does; what it reads at run time is asked for in the database, without its value."""
    reading = command_text.read(job.command)
    secrets = secrets_in(job.command)
    if reading.kind == "autosync":
        return Text("autosync", secrets=secrets)
    understood = twins.understand(job.command, functions)
    is_guarded = _GUARD.search(f"{job.command}\n{functions.source_of(understood.through)}") is not None
    is_helped = understood.through is not None or any(functions.have(name) for name in reading.functions)
    call = reading.call or understood.call
    return Text(
        "helper" if is_helped else reading.kind,
        (_called(call, facts),) if call else (),
        understood,
        secrets,
        tuple(_missing(call, facts, is_guarded=is_guarded)) if call else (),
        # the extension `http` has sent it by then
        reading.undone if is_helped or any(name[:-1] == ("net",) for name in reading.functions) else None,
        tuple(_misplaced(call, facts)) if call else (),
        has_no_timeout=call is not None
        and call.timeout_milliseconds is None
        and any(name[0] == "net" for name in reading.functions),
        reason=reading.reason,
    )


def _called(call: Call, facts: DatabaseFacts) -> str:
    """Return the function, or host and path of another address; a query may hold what is nobody's business."""
    try:
        target, *_ = translation.plain_call(replace(call, headers={}, body=None))
    except Untranslatable:
        parts = [
            (facts.origin_of(part) or f"({part})") if isinstance(part, Origin) else str(part) for part in call.url.parts
        ]
        target = {"url": key.redact("".join(parts))}
    if "function" in target:
        return str(target["function"]).partition("?")[0]
    shown = opaque.masked(target["url"])
    try:
        address = urlsplit(shown)
    except ValueError:  # half a bracket: what would be user and password goes, as it does with any other address
        return shown.partition("?")[0].rpartition("@")[2]
    function = address.path.partition("/functions/v1/")[2]
    return function or f"{address.hostname or ''}{address.path}"


def _missing(call: Call, facts: DatabaseFacts, *, is_guarded: bool) -> list[str]:
    """Return the headers and the address whose value is not there, and what comes of it: SQL makes them null."""
    sources = [(f"its header {name}", part) for name, text in call.headers.items() for part in _origins(text)]
    sources += [("its address", part) for part in _origins(call.url)]
    return [
        f"{what} comes from {part}, which is not there: {_outcome(what, part, is_guarded=is_guarded)}"
        for what, part in sources
        if facts.kind(part) == "missing"
    ]


def _outcome(what: str, part: Origin, *, is_guarded: bool) -> str:
    if part.must_be_there:
        return "the run fails, and nothing is sent"
    if what == "its address":
        return "nothing is sent"
    if is_guarded:
        return "nothing is sent where the text ends for that, else the call is sent without it"
    return "it is sent without it"


def _misplaced(call: Call, facts: DatabaseFacts) -> list[str]:
    """Return what belongs into a header and is in the address: the third argument of net.http_post() is the query."""
    return [
        f"its query has {name}, which belongs into a header: the call is sent without it, and logs keep the address"
        for name, text in call.query.items()
        if name.lower() == "authorization" or any(facts.kind(part) in SERVICE_KINDS for part in _origins(text))
    ]


def secrets_in(text: str) -> tuple[str, ...]:
    """Return what kinds of secrets a text holds; those of no known form by the name that they stand under."""
    kinds = [_KINDS[one.kind] for one in judge.found_in(text) if not one.kind.is_public]
    return tuple(dict.fromkeys(kinds)) or (("a credential",) if opaque.holds_credential(text) else ())


def _origins(text: SqlText) -> list[Origin]:
    return [part for part in text.parts if isinstance(part, Origin)]
