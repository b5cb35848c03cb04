"""From a call that a text makes to the settings that say the same, and the secrets that it takes along."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol
from urllib.parse import urlencode, urlsplit

from autosync_db.config.secret_text import holds_secret, is_named_secret
from autosync_db.errors import UsageError
from autosync_db.jobs.command_text import Call
from autosync_db.jobs.sql_values import Moment, Origin, Text, Untranslatable, Value
from autosync_db.secret import Secret
from autosync_db.supabase import address, key

PROJECT_URL, SERVICE_KEY, GATEWAY_KEY = "project_url", "service_role_key", "gateway_key"
# what has its own place and its own proof: no job's secret is called so
_RESERVED = {PROJECT_URL, SERVICE_KEY, GATEWAY_KEY, "cron_secret", "cron_secret_next"}
_SECRET_NAME = re.compile(
    r"auth|api-?_?key|(^|[-_])(key|token|secret|signature|password|pass|cookie|bypass)s?$", re.IGNORECASE
)
_SCHEMES = re.compile(r"((?:Bearer|Basic|Token) )(.*)", re.IGNORECASE | re.DOTALL)
_FUNCTION = re.compile(
    r"(?P<base>[^?]*?)/functions/v1/(?P<function>[A-Za-z0-9][A-Za-z0-9_-]{0,62}(?:[/?].*)?)", re.DOTALL
)
_FUNCTIONS_HOST = re.compile(r"https://([a-z]{20})\.functions\.supabase\.(?:co|in)/(.+)", re.DOTALL)

# what clients add to any call
_AS_EVERY_CALL = {"content-type", "accept", "user-agent"}

Source = Origin | Secret  # a secret is one that is pasted into the text
SourceKind = Literal["service", "public", "other", "missing", "unreadable"]


class Facts(Protocol):
    """What a translation asks the database."""

    project_url: str | None

    def kind(self, source: Source) -> SourceKind:
        """Return what kind of credential a source holds."""
        ...

    def origin_of(self, source: Origin) -> str | None:
        """Return scheme and host where that is all that a source holds, else None."""
        ...


@dataclass(frozen=True, slots=True)
class Take:
    """A secret that a job needs in the store, and where its text has it from."""

    name: str
    source: Source
    kind: SourceKind = "other"


@dataclass(frozen=True, slots=True)
class Translation:
    """The table of a job, without its schedule; a job that is only watched has a `reason`."""

    table: dict[str, Any]
    takes: tuple[Take, ...] = ()
    project: Text | None = None  # the address that comes before a function's path
    notes: tuple[str, ...] = ()
    reason: str | None = None


@dataclass(slots=True)
class Names:
    """The names that secrets are given, one for each source."""

    given: dict[str, Source] = field(default_factory=dict)

    def name(self, wanted: str, source: Source, job: str) -> str:
        """Return the name for a source; a second source that wants the same name gets that of its job before it."""
        plain = _plain_name(wanted)
        for candidate in (
            plain,
            _plain_name(f"{job}_{plain}"),
            *(_plain_name(f"{job}_{plain}_{n}") for n in range(2, 99)),
        ):
            if candidate not in _RESERVED and self.given.setdefault(candidate, source) == source:
                return candidate
        raise Untranslatable("it has too many secrets")


def translate(call: Call, facts: Facts, names: Names, job: str) -> Translation:
    """Return the table that makes the same call, or one that is only watched and says why."""
    try:
        return _translate(call, facts, names, job)
    except Untranslatable as error:
        return watched(str(error))


class _Nowhere(Facts):
    """Facts for who compares calls: whose address and whose key it is makes no difference."""

    project_url = None

    def kind(self, source: Source) -> SourceKind:
        return "other"

    def origin_of(self, source: Origin) -> str | None:
        return None


def plain_call(call: Call) -> dict[str, Any]:
    """Return what a call sends and where, but for its credentials, timeout and host of the project.

    Raises Untranslatable.
    """
    target, _ = _target(call, _Nowhere())
    plain, _ = _headers(call, _Nowhere())
    return {
        **target,
        "method": call.method,
        "body": _body(call.body, []),
        "headers": {name.lower(): text for name, text in plain.items() if name.lower() not in _AS_EVERY_CALL},
    }


def watched(reason: str) -> Translation:
    """Return the table of a job that is left alone."""
    return Translation({"watch": True}, reason=reason)


@dataclass(frozen=True, slots=True)
class _Credential:
    header: str
    prefix: str
    source: Source
    kind: SourceKind


def _translate(call: Call, facts: Facts, names: Names, job: str) -> Translation:
    if call.method not in {"POST", "GET"}:
        raise Untranslatable(f"it sends {call.method}: calls here are POST or GET")
    notes: list[str] = []
    target, project = _target(call, facts)
    table: dict[str, Any] = dict(target)
    if call.timeout_milliseconds is not None:
        seconds = min(max(call.timeout_milliseconds, 1000), 600_000)
        table["timeout"] = f"{seconds // 1000}s" if seconds % 1000 == 0 else f"{seconds}ms"
    if call.method == "GET":
        table["method"] = "GET"
    body = _body(call.body, notes)
    if body and call.method == "GET":
        raise Untranslatable("it sends a body with GET")
    if body:
        table["body"] = body
    headers, credentials = _headers(call, facts)
    if headers:
        table["headers"] = headers
    auth, takes = _auth(credentials, names, job, is_function="function" in table)
    if auth != "service_key":
        table["auth"] = auth
    return Translation(table, takes, project, tuple(notes))


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
            shown += found.rstrip("/") if found else "\0"
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
        base = found_function["base"]
        ours = facts.project_url
        if base == "\0" or ours is None or _same_host(base, ours):
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
    if facts.project_url is not None and not _same_host(str(project.literal), facts.project_url):
        return {"url": f"{project.literal}/functions/v1/{path}"}, None
    return {"function": path}, project


def _is_origin(text: str) -> bool:
    try:
        address.check_url(text)
    except UsageError:
        return False
    return True


def _same_host(one: str, other: str) -> bool:
    first, second = urlsplit(one), urlsplit(other)
    return (first.scheme, first.netloc) == (second.scheme, second.netloc)


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
        if isinstance(inner, Text) and inner.has_moment:
            notes.append(f"its body had the time of the call ({path}), which is left out")
        else:
            yield name, _plain(inner, name, path, notes)


def _plain(value: Value, name: str, path: str, notes: list[str]) -> Any:
    match value:
        case Text():
            for part in value.parts:
                if isinstance(part, Origin):
                    raise Untranslatable(f"its body holds {part} ({path})")
            written = value.literal or ""
            if holds_secret(written) or (_SECRET_NAME.search(name) and written):
                raise Untranslatable(f"its body holds a secret ({path})")
            return written
        case dict():
            return dict(_plain_items(value, path, notes))
        case list():
            if any(isinstance(one, Text) and any(isinstance(part, Moment) for part in one.parts) for one in value):
                raise Untranslatable(f"its body holds the time of the call in a list ({path})")
            return [_plain(one, name, path, notes) for one in value]
        case None:
            raise Untranslatable(f"its body holds null ({path}), which TOML has not")
    return value


def _headers(call: Call, facts: Facts) -> tuple[dict[str, str], list[_Credential]]:
    plain: dict[str, str] = {}
    credentials: list[_Credential] = []
    for name, text in call.headers.items():
        if text.has_moment:
            raise Untranslatable(f"its header {name} holds the time of the call")
        written = text.literal
        if name.lower() == "content-type" and written is not None:
            if call.method == "POST" and not re.match(r"application/json\b", written, re.IGNORECASE):
                raise Untranslatable("it sends something else than JSON")
        elif written is not None and not _is_credential(name, written):
            plain[name] = written
        elif written != "":
            credentials.append(_credential(name, text, facts))
    return plain, credentials


def _is_credential(name: str, text: str) -> bool:
    if re.fullmatch(r"sb_publishable_\w+", text):
        return False  # everybody may know it
    return bool(_SECRET_NAME.search(name) or is_named_secret(name, text) or holds_secret(text))


def _credential(name: str, text: Text, facts: Facts) -> _Credential:
    origins = [part for part in text.parts if isinstance(part, Origin)]
    if not origins:
        written = text.literal or ""
        if key.PLACEHOLDER.search(written):
            raise Untranslatable(f"its header {name} holds a placeholder in place of a key")
        scheme = _SCHEMES.fullmatch(written)
        prefix, value = (scheme[1], scheme[2]) if scheme else ("", written)
        pasted = Secret(value.strip())
        return _Credential(name, prefix, pasted, facts.kind(pasted))
    if len(origins) > 1 or not isinstance(text.parts[-1], Origin):
        raise Untranslatable(f"its header {name} is made of more than one secret")
    prefix = "".join(part for part in text.parts if isinstance(part, str))
    if key.LOOKS_SECRET.search(prefix):
        raise Untranslatable(f"its header {name} is made of more than one secret")
    return _Credential(name, prefix, origins[0], facts.kind(origins[0]))


def _auth(
    credentials: list[_Credential], names: Names, job: str, *, is_function: bool
) -> tuple[str | dict[str, str], tuple[Take, ...]]:
    for one in credentials:
        if one.kind in {"missing", "unreadable"}:
            what = "is not there" if one.kind == "missing" else "cannot be read by this role"
            raise Untranslatable(f"its header {one.header} comes from {one.source}, which {what}")
    service = [one for one in credentials if one.kind == "service"]
    public = [one for one in credentials if one.kind == "public"]
    own = [one for one in credentials if one.kind == "other"]
    if service and not is_function:
        raise Untranslatable("it sends the project's service key to an address that is none of its functions")
    if service and own:
        raise Untranslatable("it shows the service key and a secret of its own: a call here shows one of them")
    if service:
        if len({one.source for one in service}) > 1:
            raise Untranslatable("it shows two service keys")
        takes = [Take(SERVICE_KEY, service[0].source, "service")]
        others = [one for one in service if one.header.lower() not in {"authorization", "apikey"}]
        if not others:
            return "service_key", tuple(takes)
        if len(service) > 1:
            raise Untranslatable("it shows the service key in two headers: a call here shows it in one")
        return _shown(others[0], SERVICE_KEY), tuple(takes)
    if len({one.source for one in own}) > 1 or len(own) > 1:
        raise Untranslatable("it shows two secrets: a call here shows one")
    if not own and not public:
        return "none", ()
    shown = own[0] if own else next((one for one in public if one.header.lower() == "authorization"), public[0])
    wanted = shown.source.name.rpartition(".")[2] if isinstance(shown.source, Origin) else shown.header
    name = names.name("anon_key" if shown.kind == "public" else wanted, shown.source, job)
    auth = _shown(shown, name)
    takes = [Take(name, shown.source, shown.kind)]
    if own and public:
        if not is_function:
            raise Untranslatable("it shows two secrets: a call here shows one")
        takes.append(Take(GATEWAY_KEY, public[0].source, "public"))
    return auth, tuple(takes)


def _shown(credential: _Credential, name: str) -> dict[str, str]:
    """Return the `auth` that shows the stored secret of this name as a text shows it."""
    auth = {"secret": name, "header": credential.header}
    return auth | ({"prefix": credential.prefix} if credential.prefix else {})


def _plain_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:62]
    return name if re.match("[a-z]", name) else f"secret_{name}"
