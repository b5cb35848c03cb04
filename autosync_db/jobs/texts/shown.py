"""The credentials that a call shows, and the `auth` of a job that shows the same."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from autosync_db.config.secret_text import holds_secret, is_named_secret, looks_random
from autosync_db.jobs.texts.sources import (
    GATEWAY_KEY,
    PUBLIC_KINDS,
    SERVICE_KEY,
    SERVICE_KINDS,
    Facts,
    Names,
    Source,
    SourceKind,
    Take,
)
from autosync_db.jobs.texts.sql_values import Origin, Text, Untranslatable
from autosync_db.secret import Secret
from autosync_db.supabase import key, opaque

_SCHEMES = re.compile(r"((?:Bearer|Basic|Token) )(.*)", re.IGNORECASE | re.DOTALL)
# of a header that has a scheme before its value, whichever
_ANY_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9_.-]{0,28} )(.*)", re.DOTALL)
_OF_THE_GATEWAY = {"authorization", "apikey"}
# of headers that say who, which or what version, in characters that look like a secret's
_IDENTITIES = re.compile(
    r"(?:^|-)(?:id|uuid|ref|tenant|org|organi[sz]ation|project|account|client|workspace|team|user|device|commit|sha|hash"
    r"|checksum|etag|revision|version|build|release|trace|traceparent|tracestate|span|nonce)$",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Credential:
    """A header that shows a secret or a public key."""

    header: str
    prefix: str
    source: Source
    kind: SourceKind

    @property
    def is_as_ours(self) -> bool:
        """Whether a call here shows a key of the project so by itself: a JWT as bearer, any other as apikey."""
        if self.kind in {"service", "public"}:
            return (self.header.lower(), self.prefix) == ("authorization", "Bearer ")
        return self.kind in {"service_secret", "publishable"} and (self.header.lower(), self.prefix) == ("apikey", "")

    @property
    def is_of_the_gateway(self) -> bool:
        """Whether the gateway before a function looks at this header."""
        return self.header.lower() in _OF_THE_GATEWAY


def is_credential(name: str, text: str) -> bool:
    """Return whether what is written in a header is a credential, which no file may have."""
    if re.fullmatch(r"sb_publishable_\w+", text):
        return name.lower() in _OF_THE_GATEWAY  # everybody may know it; elsewhere it is any header
    return (
        opaque.is_credential_header(name)
        or is_named_secret(name, text)
        or holds_secret(text)
        or (looks_random(text) and not _IDENTITIES.search(name))
    )


def credential(name: str, text: Text, facts: Facts) -> Credential:
    """Return what a header shows. Raises Untranslatable."""
    origins = [part for part in text.parts if isinstance(part, Origin)]
    if not origins:
        written = text.literal or ""
        scheme = (_ANY_SCHEME if name.lower().endswith("authorization") else _SCHEMES).fullmatch(written)
        prefix, value = (scheme[1], scheme[2]) if scheme else ("", written)
        if key.PLACEHOLDER.search(written) or opaque.stands_for_a_key(value.strip()):
            raise Untranslatable(f"its header {name} holds a placeholder in place of a key")
        pasted = Secret(value.strip())
        if re.search(r"[^\x21-\x7e]", pasted.reveal()):
            raise Untranslatable(f"its header {name} holds a secret with blanks, which none that is stored has")
        return Credential(name, prefix, pasted, facts.kind(pasted))
    if len(origins) > 1 or not isinstance(text.parts[-1], Origin):
        raise Untranslatable(f"its header {name} is made of more than one secret")
    prefix = "".join(part for part in text.parts if isinstance(part, str))
    if key.LOOKS_SECRET.search(prefix):
        raise Untranslatable(f"its header {name} is made of more than one secret")
    return Credential(name, prefix, origins[0], facts.kind(origins[0]))


def auth_of(
    credentials: list[Credential], names: Names, job: str, notes: list[str], *, is_function: bool
) -> tuple[str | dict[str, str], tuple[Take, ...]]:
    """Return the `auth` that shows the same, and its secrets; what is left out is noted. Raises Untranslatable."""
    for one in credentials:
        if one.kind in {"missing", "unreadable"}:
            what = "is not there" if one.kind == "missing" else "cannot be read by this role"
            raise Untranslatable(f"its header {one.header} comes from {one.source}, which {what}")
    service = [one for one in credentials if one.kind in SERVICE_KINDS]
    public = [one for one in credentials if one.kind in PUBLIC_KINDS]
    own = [one for one in credentials if one.kind == "other"]
    if service and not is_function:
        raise Untranslatable("it sends the project's service key to an address that is none of its functions")
    if service and own:
        raise Untranslatable("it shows the service key and a secret of its own: a call here shows one of them")
    if service:
        return _service_key(service, public, notes)
    if len(own) > 1 or (own and public and not is_function):
        raise Untranslatable("it shows two secrets: a call here shows one")
    if own:
        return _own(own[0], public, names, job, notes)
    if public:
        # as bearer alone, a publishable key is no JWT
        ours = [one for one in public if one.is_as_ours]
        shown = next((one for one in (*ours, *public) if one.is_of_the_gateway), public[0])
        name = names.name("anon_key", shown.source, job)
        notes += _left_out(one for one in public if one is not shown)
        return _shown(shown, name), (Take(name, shown.source, shown.kind),)
    return "none", ()


def _service_key(
    service: list[Credential], public: list[Credential], notes: list[str]
) -> tuple[str | dict[str, str], tuple[Take, ...]]:
    if len({one.source for one in service}) > 1:
        raise Untranslatable("it shows two service keys")
    if len(service) > 1 and not all(one.is_of_the_gateway for one in service):
        raise Untranslatable("it shows the service key in two headers: a call here shows it in one")
    shown = next((one for one in service if one.is_as_ours), service[0])
    notes += _left_out(one for one in (*service, *public) if one is not shown)
    return "service_key" if shown.is_as_ours else _shown(shown, SERVICE_KEY), (
        Take(SERVICE_KEY, shown.source, shown.kind),
    )


def _own(
    own: Credential, public: list[Credential], names: Names, job: str, notes: list[str]
) -> tuple[dict[str, str], tuple[Take, ...]]:
    """Return what shows a secret of its own, and the public key beside it as the gateway is shown it here."""
    source, wanted = own.source, own.header
    if isinstance(source, Origin) and not (source.kind == "vault" and source.conditions):  # an id says nothing
        wanted = source.name.rpartition(".")[2]
    name = names.name(wanted, source, job)
    takes = [Take(name, own.source, own.kind)]
    if own.is_of_the_gateway:
        notes += _left_out(public)
    elif public:
        shown = next((one for one in public if one.is_as_ours), public[0])
        takes.append(Take(GATEWAY_KEY, shown.source, shown.kind))
        notes += _left_out(one for one in public if one is not shown)
        if not shown.is_as_ours:
            becomes = "Authorization: Bearer" if shown.kind == "public" else "apikey"
            notes.append(f"its header {shown.header} with a public key becomes {becomes}")
    return _shown(own, name), tuple(takes)


def _left_out(credentials: Iterable[Credential]) -> list[str]:
    return [
        f"its header {one.header} is left out: it shows "
        + ("the service key a second time" if one.kind in SERVICE_KINDS else "a public key")
        for one in credentials
    ]


def _shown(shown: Credential, name: str) -> dict[str, str]:
    """Return the `auth` that shows the stored secret of this name as a text shows it."""
    auth = {"secret": name, "header": shown.header}
    return auth | ({"prefix": shown.prefix} if shown.prefix else {})
