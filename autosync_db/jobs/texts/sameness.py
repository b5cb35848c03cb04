"""When two calls are the same: what they send, to whose function, and with which secrets of their own.

What is sent is known from the texts alone. Whose project and which secret it is may have to be looked up, and is only
for calls that are the same otherwise. What cannot be looked up is equal to what has the same name.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from autosync_db.jobs.texts import translation
from autosync_db.jobs.texts.command_text import Call
from autosync_db.jobs.texts.sources import PUBLIC_KINDS, SERVICE_KINDS, Facts, Source, SourceKind
from autosync_db.jobs.texts.sql_values import Origin, Text, Untranslatable
from autosync_db.supabase import address

# keys that any call of a project's functions may carry: which of them it is makes no other call
_OF_THE_PROJECT = frozenset({*SERVICE_KINDS, *PUBLIC_KINDS})

Shown = tuple[str, str, str | None]  # header, what stands before the secret, and its fingerprint
T = TypeVar("T")


class Known(Facts, Protocol):
    """What a comparison asks the database."""

    def fingerprint(self, source: Source) -> str | None:
        """Return what is equal for equal secrets, None for one that cannot be read."""
        ...


@dataclass(frozen=True, slots=True)
class Sent:
    """A call of a text: `what` is equal for all that send the same, `project` whose function it is, if it is one's."""

    what: str
    project: Text | None
    credentials: tuple[tuple[str, str, Source], ...]  # header, what stands before the secret, and where that is

    def host(self, known: Known) -> str | None:
        """Return scheme and host of the project, or by which name it is read; None where the address is in `what`."""
        if self.project is None:
            return None
        [part] = self.project.parts
        if isinstance(part, Origin):
            found = known.origin_of(part)
            return repr(part) if found is None else address.origin(found)
        return address.origin(str(part))

    def shows(self, known: Known) -> frozenset[Shown]:
        """Return the secrets of its own: not the keys of the project, which every call of its functions may carry."""
        return frozenset(
            _shown(header, prefix, known.fingerprint(source) or repr(source))
            for header, prefix, source in self.credentials
            if known.kind(source) not in _OF_THE_PROJECT
        )


@dataclass(frozen=True, slots=True)
class Own:
    """A call of ours to compare with; a `host` and a fingerprint of None are not known yet, and fit any."""

    what: str
    host: str | None
    shows: tuple[frozenset[Shown], ...]  # one of them
    is_elsewhere: bool = False  # at an address that is no function's

    @property
    def certain(self) -> "Own | None":
        """The same with what is known alone, None where that is not enough to compare anything with it."""
        shows = tuple(one for one in self.shows if not any(fingerprint is None for *_, fingerprint in one))
        return replace(self, shows=shows) if shows and (self.host or self.is_elsewhere) else None

    def is_same(self, other: Sent, known: Known) -> bool:
        """Return whether another call is the same as this one."""
        if other.what != self.what or (other.project is None) != self.is_elsewhere:
            return False
        if self.host is not None and other.host(known) != self.host:
            return False
        shown = other.shows(known)
        return any(_fits(wanted, shown) for wanted in self.shows)

    def other_host(self, other: Sent, known: Known) -> str | None:
        """Return another host to whose function the same is sent, else None: it may be another name of this one."""
        if other.what != self.what or other.project is None or self.host is None:
            return None
        theirs = other.host(known)
        return theirs if theirs != self.host and "://" in (theirs or "") else None


def sent(call: Call) -> Sent:
    """Return what a call sends. Raises Untranslatable."""
    plain, project, credentials = translation.plain_call(call)
    return Sent(_what(plain), project, tuple(credentials))


def own(row: Mapping[str, Any], project_url: str | None, stored: Callable[[str], tuple[SourceKind, str | None]]) -> Own:
    """Return the call of a row of autosync.job; `stored` says of what kind a secret is, and its fingerprint."""
    plain = {name: row[name] for name in ("method", "body", "headers", "function", "url")}
    host, is_elsewhere = address.origin(project_url) if project_url else None, False
    if row["url"]:
        host, is_elsewhere = None, True
        try:
            target, project, _ = translation.plain_call(Call(row["method"], Text((row["url"],))))
        except Untranslatable:
            pass
        else:
            plain |= {"function": None, "url": None} | target
            if project is not None:
                host, is_elsewhere = address.origin(str(project.literal)), False
    shows = [frozenset[Shown]()]
    if row["auth"] == "secret":
        kind, fingerprint = stored(row["secret_name"])
        if kind not in _OF_THE_PROJECT:
            shows = [frozenset({_shown(row["secret_header"], row["secret_prefix"], fingerprint)})]
    elif row["auth"] == "cron_secret":
        # it takes the place of the service key, which a call made before may still carry
        shows.append(frozenset({_shown("x-autosync-cron-secret", "", stored("cron_secret")[1])}))
    return Own(_what(plain), host, tuple(shows), is_elsewhere)


def twins(items: Iterable[tuple[T, Any, str, Sent | None]], known: Known) -> Iterator[tuple[T, T]]:
    """Yield each of the items that does the same as an earlier one, with that one.

    Of each: what must be equal besides, its effect as text, and the call that it makes, if it makes one.
    """
    there: dict[Any, list[tuple[T, Sent | None]]] = {}
    for item, beside, effect, call in items:
        alike = there.setdefault((beside, effect), [])
        for other, its in alike:
            if call is None or its is None or _are_same(call, its, known):
                yield item, other
                break
        else:
            alike.append((item, call))


def _are_same(one: Sent, other: Sent, known: Known) -> bool:
    return one.host(known) == other.host(known) and one.shows(known) == other.shows(known)


def _what(plain: Mapping[str, Any]) -> str:
    headers = {name.lower(): text for name, text in plain["headers"].items()}
    target = plain.get("function") or plain.get("url")
    return json.dumps([plain["method"], target, plain["body"] or {}, headers], sort_keys=True, default=float)


def _shown(header: str, prefix: str | None, fingerprint: str | None) -> Shown:
    return header.lower(), (prefix or "").strip().lower(), fingerprint


def _fits(wanted: frozenset[Shown], shown: frozenset[Shown]) -> bool:
    return len(wanted) == len(shown) and all(
        any(one[:2] == other[:2] and one[2] in {None, other[2]} for other in shown) for one in wanted
    )
