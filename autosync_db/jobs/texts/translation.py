"""From a call that a text makes to the settings that say the same, and the secrets that it takes along."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any
from urllib.parse import urlencode, urlsplit

from autosync_db.config.secret_text import holds_secret, is_named_secret, strings
from autosync_db.errors import UsageError
from autosync_db.jobs.texts import shown as credentials_shown
from autosync_db.jobs.texts.command_text import Call
from autosync_db.jobs.texts.shown import Credential
from autosync_db.jobs.texts.sources import Facts, Names, Source, SourceKind, Take
from autosync_db.jobs.texts.sql_values import Moment, Origin, Text, Untranslatable, Value
from autosync_db.secret import Secret
from autosync_db.supabase import address

_FUNCTION = re.compile(
    r"(?P<base>[^?]*?)/functions/v1/(?P<function>[A-Za-z0-9][A-Za-z0-9_-]{0,62}(?:[/?].*)?)", re.DOTALL
)
_FUNCTIONS_HOST = re.compile(r"https://([a-z]{20})\.functions\.supabase\.(?:co|in)/(.+)", re.DOTALL)

# what pg_net, and the extension `http`, wait for an answer where the text says nothing
_TIMEOUT_MILLISECONDS = 5000
_SHORTEST_MILLISECONDS, _LONGEST_MILLISECONDS = 1000, 600_000
_WHOLE_NUMBERS = range(-(2**63), 2**63)  # that TOML has
# what clients add to any call
_AS_EVERY_CALL = {"content-type", "accept", "user-agent"}


@dataclass(frozen=True, slots=True)
class Translation:
    """The table of a job, without its schedule; a job that is only watched has a `reason`."""

    table: dict[str, Any]
    takes: tuple[Take, ...] = ()
    project: Text | None = None  # the address that comes before a function's path
    notes: tuple[str, ...] = ()
    reason: str | None = None


def translate(call: Call, facts: Facts, names: Names, job: str) -> Translation:
    """Return the table that makes the same call, or one that is only watched and says why."""
    try:
        return _translate(call, facts, names, job)
    except Untranslatable as error:
        return watched(str(error))


class _Nowhere(Facts):
    """Facts for who compares calls, and looks up whose address and whose key it is by itself."""

    project_url = None

    def kind(self, source: Source) -> SourceKind:
        return "other"

    def origin_of(self, source: Origin) -> str | None:
        return None

    def located(self, source: Origin) -> Origin:
        return source


def plain_call(call: Call) -> tuple[dict[str, Any], Text | None, list[tuple[str, str, Source]]]:
    """Return what a call sends, the address before its function's path, and its credentials by header and prefix.

    Raises Untranslatable. Nothing is looked up, and the timeout is left out.
    """
    target, project = _target(call, _Nowhere())
    plain, credentials = _headers(call, _Nowhere())
    sent = {
        **target,
        "method": call.method,
        "body": _body(call.body, []),
        "headers": {name.lower(): text for name, text in plain.items() if name.lower() not in _AS_EVERY_CALL},
    }
    return sent, project, [(one.header, one.prefix, one.source) for one in credentials]


def watched(reason: str) -> Translation:
    """Return the table of a job that is left alone."""
    return Translation({"watch": True}, reason=reason)


def _translate(call: Call, facts: Facts, names: Names, job: str) -> Translation:
    if call.method not in {"POST", "GET"}:
        raise Untranslatable(f"it sends {call.method}: calls here are POST or GET")
    call = _located(call, facts)
    notes: list[str] = []
    target, project = _target(call, facts)
    table: dict[str, Any] = dict(target)
    table["timeout"] = _timeout(call, notes)
    if call.method == "GET":
        table["method"] = "GET"
    body = _body(call.body, notes)
    if body and call.method == "GET":
        raise Untranslatable("it sends a body with GET")
    if body:
        table["body"] = body
    headers, shown = _headers(call, facts)
    if headers:
        table["headers"] = headers
    _require_secrets_once(table, shown)
    auth, takes = credentials_shown.auth_of(shown, names, job, notes, is_function="function" in table)
    if auth != "service_key":
        table["auth"] = auth
    return Translation(table, takes, project, tuple(notes))


def _located(call: Call, facts: Facts) -> Call:
    """Return a call whose sources are known whatever the search_path is."""

    def locate(text: Text) -> Text:
        return Text(tuple(facts.located(part) if isinstance(part, Origin) else part for part in text.parts))

    return replace(call, url=locate(call.url), headers={name: locate(text) for name, text in call.headers.items()})


def _timeout(call: Call, notes: list[str]) -> str:
    stated = _TIMEOUT_MILLISECONDS if call.timeout_milliseconds is None else call.timeout_milliseconds
    kept = min(max(stated, _SHORTEST_MILLISECONDS), _LONGEST_MILLISECONDS)
    shown = f"{kept // 1000}s" if kept % 1000 == 0 else f"{kept}ms"
    if kept != stated:
        limit = "shortest" if kept > stated else "longest"
        notes.append(f"its timeout of {stated} ms becomes {shown}, the {limit} that a job can have")
    return shown


def _require_secrets_once(table: Mapping[str, Any], shown: list[Credential]) -> None:
    """Raise Untranslatable where the file would have a secret that a header shows, in another place."""
    pasted = [one.source.reveal() for one in shown if isinstance(one.source, Secret)]
    for where, text in strings(dict(table)):
        if any(one == text or (len(one) >= 8 and one in text) for one in pasted):
            raise Untranslatable(f"its {where} holds the secret of a header")


def _target(call: Call, facts: Facts) -> tuple[dict[str, str], Text | None]:
    """Return `function` or `url` with its query, and the address before a function's path."""
    url = call.url
    if url.has_moment:
        raise Untranslatable("its address holds the time of the call")
    shown, origins = "", [part for part in url.parts if isinstance(part, Origin)]
    for part in url.parts:
        if isinstance(part, Origin):
            found = facts.origin_of(part)
            if found is None and part is not url.parts[0]:
                raise Untranslatable(f"its address holds {part}")
            shown += found or "\0"
        elif isinstance(part, str):
            shown += part
    shown += _query(call.query, shown)
    if re.search(r"[^\x21-\x7e\0]", shown):
        raise Untranslatable("its address holds blanks or other characters that no address has")
    _require_no_secret_query(shown)
    hosted = _FUNCTIONS_HOST.fullmatch(shown)
    if hosted:
        return _function(hosted[2], Text((f"https://{hosted[1]}.supabase.co",)), facts)
    if found_function := _FUNCTION.fullmatch(shown):
        base = found_function["base"].rstrip("/")  # as an address that is stored may end
        ours = facts.project_url
        if base == "\0" or ours is None or address.origin(base) == address.origin(ours):
            project = Text((url.parts[0],)) if origins and url.parts[0] is origins[0] else Text((base,))
            if base != "\0" and not _is_origin(base):
                raise Untranslatable("what comes before the function in its address is no address of a project")
            return {"function": found_function["function"]}, project
    if "\0" in shown:
        raise Untranslatable(f"its address is {origins[0]}")
    parts = urlsplit(shown)
    if parts.scheme not in {"http", "https"} or not parts.hostname or "@" in parts.netloc:
        raise Untranslatable("its address is none that can be called")
    return {"url": shown}, None


def _function(path: str, project: Text, facts: Facts) -> tuple[dict[str, str], Text | None]:
    if facts.project_url is not None and address.origin(str(project.literal)) != address.origin(facts.project_url):
        return {"url": f"{project.literal}/functions/v1/{path}"}, None
    return {"function": path}, project


def _is_origin(text: str) -> bool:
    try:
        address.check_url(text)
    except UsageError:
        return False
    return True


def _query(params: Mapping[str, Text], shown: str) -> str:
    written = {}
    for name, text in params.items():
        if text.literal is None:
            raise Untranslatable(f"its query has a value that is read when it runs ({name})")
        written[name] = text.literal
    return ("&" if "?" in shown else "?") + urlencode(written) if written else ""


def _require_no_secret_query(shown: str) -> None:
    try:
        query = urlsplit(shown.replace("\0", "https://h")).query
    except ValueError:  # a bracket of an IPv6 address without the other one
        raise Untranslatable("its address is none that can be called") from None
    for pair in query.split("&"):
        name, _, text = pair.partition("=")
        if is_named_secret(name, text) or holds_secret(text):
            raise Untranslatable(f"its query holds a secret ({name}): no query here may")
    if holds_secret(shown):
        raise Untranslatable("its address holds a secret")


def _body(value: Value, notes: list[str]) -> dict[str, Any]:
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Untranslatable("its body is no JSON object")
    return dict(_plain_items(value, "", notes))


def _plain_items(value: dict[str, Value], where: str, notes: list[str]) -> Iterator[tuple[str, Any]]:
    for name, inner in value.items():
        path = f"{where}.{name}" if where else name
        if inner == Text((Moment(),)):
            notes.append(f"its body had the time of the call ({path}), which is left out")
        else:
            yield name, _plain(inner, name, path, notes)


def _plain(value: Value, name: str, path: str, notes: list[str]) -> Any:
    match value:
        case Text():
            for part in value.parts:
                if isinstance(part, Origin):
                    raise Untranslatable(f"its body holds {part} ({path})")
                if isinstance(part, Moment):
                    raise Untranslatable(f"its body has the time of the call within a text ({path})")
            written = value.literal or ""
            if holds_secret(written) or is_named_secret(name, written):
                raise Untranslatable(f"its body holds a secret ({path})")
            return written
        case dict():
            return dict(_plain_items(value, path, notes))
        case list():
            return [_plain(one, name, path, notes) for one in value]
        case None:
            raise Untranslatable(f"its body holds null ({path}), which TOML has not")
        case Decimal():
            return _as_float(value, path)
        case int() if value not in _WHOLE_NUMBERS:
            raise Untranslatable(f"its body has a number with too many digits for TOML ({path})")
    return value


def _as_float(value: Decimal, path: str) -> float:
    found = float(value)
    if Decimal(repr(found)) != value:
        raise Untranslatable(f"its body has a number with too many digits for TOML ({path})")
    return found


def _headers(call: Call, facts: Facts) -> tuple[dict[str, str], list[Credential]]:
    plain: dict[str, str] = {}
    shown: list[Credential] = []
    for name, text in call.headers.items():
        if text.has_moment:
            raise Untranslatable(f"its header {name} holds the time of the call")
        written = text.literal
        if name.lower() == "content-type" and written is not None:
            if call.method == "POST" and not re.match(r"application/json\b", written, re.IGNORECASE):
                raise Untranslatable("it sends something else than JSON")
        elif written is not None and not credentials_shown.is_credential(name, written):
            plain[name] = written
        elif written != "":
            shown.append(credentials_shown.credential(name, text, facts))
    return plain, shown
