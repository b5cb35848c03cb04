"""Where the text of a job has its secrets from, and the names under which they are stored."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, Protocol

from autosync_db.jobs.texts.sql_values import Origin, Untranslatable
from autosync_db.secret import Secret

PROJECT_URL, SERVICE_KEY, GATEWAY_KEY = "project_url", "service_role_key", "gateway_key"
# what has its own place and its own proof: no job's secret is called so
_RESERVED = {PROJECT_URL, SERVICE_KEY, GATEWAY_KEY, "cron_secret", "cron_secret_next"}

Source = Origin | Secret  # a secret is one that is pasted into the text
# legacy keys, which are JWTs, are `service` and `public`; those of the form sb_… `service_secret` and `publishable`
SourceKind = Literal["service", "service_secret", "public", "publishable", "other", "missing", "unreadable"]
SERVICE_KINDS = ("service", "service_secret")
PUBLIC_KINDS = ("public", "publishable")


class Facts(Protocol):
    """What a translation asks the database."""

    project_url: str | None

    def kind(self, source: Source) -> SourceKind:
        """Return what kind of credential a source holds."""
        ...

    def origin_of(self, source: Origin) -> str | None:
        """Return scheme and host where that is all that a source holds, else None."""
        ...

    def located(self, source: Origin) -> Origin:
        """Return a source with the schema of its table, which the text may leave to the role's search_path."""
        ...


@dataclass(frozen=True, slots=True)
class Take:
    """A secret that a job needs in the store, and where its text has it from."""

    name: str
    source: Source
    kind: SourceKind = "other"


@dataclass(slots=True)
class Names:
    """The names that secrets are given, one for each source; what is `stored`, by its fingerprint, keeps its own."""

    stored: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Callable[[Source], str | None] = lambda source: None
    given: dict[str, Source] = field(default_factory=dict)

    def name(self, wanted: str, source: Source, job: str) -> str:
        """Return the name for a source; a second source that wants the same name gets that of its job before it."""
        for known, one in self.given.items():
            if one == source:
                return known
        value = self.fingerprint(source) if self.stored else None
        for known in sorted(self.stored.keys() - _RESERVED):
            if value is not None and self.stored[known] == value:
                self.given[known] = source
                return known
        plain = _plain_name(wanted)
        for candidate in (
            plain,
            _plain_name(f"{job}_{plain}"),
            *(_plain_name(f"{job}_{plain}_{n}") for n in range(2, 99)),
        ):
            # what is stored under it is another secret, which other jobs send
            is_free = candidate not in _RESERVED and candidate not in self.stored
            if is_free and self.given.setdefault(candidate, source) == source:
                return candidate
        raise Untranslatable("it has too many secrets")


def _plain_name(text: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")[:62]
    return name if re.match("[a-z]", name) else f"secret_{name}"
