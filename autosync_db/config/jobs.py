"""The jobs of the settings file: `[jobs.NAME]`, and the short form `[job]` for the guide's job."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from urllib.parse import parse_qsl, urlsplit

from pydantic import AfterValidator, BeforeValidator, Discriminator, Field, Tag, model_validator

from autosync_db import cron
from autosync_db.config.secret_text import (
    holds_secret,
    is_named_secret,
    looks_like_a_value,
    sql_holds_secret,
    strings,
)
from autosync_db.config.section import Duration, Section, wrong
from autosync_db.errors import UsageError

GUIDE_JOB = "auto-sync-cron-job"
GUIDE_FUNCTION = "auto-sync-cron"
GUIDE_SCHEDULE = "*/5 * * * *"
HOUSEKEEPING_JOB = "autosync-keep-house"

Kind = Literal["function", "url", "sql", "watch"]
Drains = Literal["auto_sync_schedules"]

_KINDS: tuple[Kind, ...] = get_args(Kind)
_JOB_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}")
_FUNCTION = re.compile(r"([A-Za-z0-9][A-Za-z0-9_-]{0,62})((?:/[A-Za-z0-9._~%-]+)*)/?(\?[!\"$-~]*)?")
_SECRET_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
# what the call sets itself, or what its transport does
_OURS = re.compile(r"content-type|idempotency-key|x-autosync-.*", re.IGNORECASE)
_TRANSPORT = re.compile(
    r"host|content-length|content-encoding|connection|transfer-encoding|upgrade|te|trailer|expect|keep-alive",
    re.IGNORECASE,
)
WORD, TABLE = "a word", "a table"  # the two forms of `auth`


def check_name(name: str) -> str:
    """Return `name` if a job may be called so; raise ValueError with the reason if not."""
    if name == HOUSEKEEPING_JOB:
        raise ValueError("this name is reserved for housekeeping; choose another one")
    if not _JOB_NAME.fullmatch(name):
        raise ValueError("a job's name has letters, digits, _ and -, at most 63, a letter or digit first")
    return name


def _schedule(text: str) -> str:
    schedule = " ".join(text.split())
    try:
        cron.check(schedule)
    except UsageError as error:
        raise ValueError(f"{error.message}; {error.hint}") from None
    return schedule


def _function(text: str) -> str:
    found = _FUNCTION.fullmatch(text)
    if not found:
        raise ValueError(
            'this is not a function: write its name, with its path and query if any: "sync/stats?mode=daily"'
        )
    if {".", ".."} & set(found[2].split("/")):
        raise ValueError("the path leads out of the function")
    _require_open_query(text)
    return text


def _url(text: str) -> str:
    if re.search(r"[^\x21-\x7e]", text):
        raise ValueError("the address holds blanks, line breaks or other characters that are to be percent-encoded")
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ValueError("the address has an invalid host or port") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise ValueError("write the whole address: https://HOST/PATH")
    if "@" in parts.netloc:
        raise ValueError('the address holds a user; a credential is named: auth = { secret = "...", header = "..." }')
    if parts.fragment:
        raise ValueError("what follows # is never sent")
    _require_open_query(text)
    return text


def _require_open_query(address: str) -> None:
    for name, value in parse_qsl(urlsplit(address).query, keep_blank_values=True):
        if is_named_secret(name, value) or holds_secret(value):
            raise ValueError(f"{name} holds a secret, which belongs in a header: {_ADVICE}")


# credentials of the project, by the words of `auth` and by their names in the store
_OF_THE_PROJECT = frozenset({"service_key", "cron_secret", "service_role_key", "cron_secret_next"})
_ADVICE = 'store it with autosync-db secrets set NAME and say auth = { secret = "NAME", header = "..." }'


def _headers(values: dict[str, str]) -> dict[str, str]:
    seen: set[str] = set()
    for name, value in values.items():
        _check_header_name(name)
        if name.lower() in seen:
            raise ValueError(f"{name} appears twice")
        seen.add(name.lower())
        if re.search(r"[^\x20-\x7e\t]", value):
            raise ValueError(f"{name} holds a line break or other characters that no header has")
        if is_named_secret(name, value) or holds_secret(value):
            raise ValueError(f"{name} holds a secret: {_ADVICE}")
    return values


def _check_header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("this is not the name of a header")
    if _OURS.fullmatch(name):
        raise ValueError(f"{name} is a header that every call has already")
    if _TRANSPORT.fullmatch(name):
        raise ValueError(f"{name} is set by the client that sends the call")
    return name


def _body(value: dict[str, Any]) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except TypeError:
        raise ValueError("this cannot be sent as JSON: write dates and times as text") from None
    except ValueError:
        raise ValueError("this cannot be sent as JSON: it has no inf and no nan") from None
    for where, text in strings(value):
        if is_named_secret(where.rpartition(".")[2], text):
            raise ValueError(f"{where} holds a secret: {_ADVICE}")
    return value


def _sql(text: str) -> str:
    if not text.strip():
        raise ValueError("the text is empty")
    if sql_holds_secret(text):
        raise ValueError("the text holds a secret: keep it in Vault, and let the text read it from there")
    return text


def _secret_name(name: str) -> str:
    if not _SECRET_NAME.fullmatch(name):
        raise ValueError("a stored secret's name has lowercase letters, digits and _, at most 63, a letter first")
    if looks_like_a_value(name):
        raise ValueError("this looks like the secret itself: name the one that autosync-db secrets set NAME has stored")
    return name


def _target_names(names: list[str]) -> list[str]:
    if not names:
        raise ValueError("names no target: write enabled = false for a job that runs nowhere, or leave this key out")
    return names


def _no_none(value: object) -> object:
    return None if value == "none" else value


class SecretAuth(Section):
    """A stored secret as a job's credential: which one, and how it is sent."""

    secret: Annotated[str, AfterValidator(_secret_name)]
    header: Annotated[str, AfterValidator(_check_header_name)]
    prefix: Annotated[str, Field(max_length=30, pattern=r"^[\x20-\x7e]*$")] = ""


class RetrySettings(Section):
    """How often a call that failed for a passing reason is made in all, and how long after the failure."""

    attempts: Annotated[int, Field(ge=1, le=10)]
    wait: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(hours=1))] = timedelta(seconds=30)


class ExpectSettings(Section):
    """What a good answer is."""

    status: Annotated[list[Annotated[int, Field(ge=100, le=599)]], Field(min_length=1)] | None = None
    json_: Annotated[dict[str, Any], AfterValidator(_body)] | None = Field(default=None, alias="json")


_Word = Literal["service_key", "cron_secret", "none"]
_Auth = Annotated[
    Annotated[_Word, Tag(WORD)] | Annotated[SecretAuth, Tag(TABLE)],
    Discriminator(lambda value: TABLE if isinstance(value, dict | SecretAuth) else WORD),
]


class JobSettings(Section):
    """One scheduled job: what it calls or runs, when, and how."""

    is_short: ClassVar[bool] = False

    name: str = ""
    function: Annotated[str, AfterValidator(_function)] | None = None
    url: Annotated[str, AfterValidator(_url)] | None = None
    sql: Annotated[str, AfterValidator(_sql)] | None = None
    watch: bool = False
    schedule: Annotated[str, AfterValidator(_schedule)] | None = None
    timeout: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(minutes=10))] = timedelta(seconds=30)
    method: Literal["POST", "GET"] = "POST"
    headers: Annotated[dict[str, str], AfterValidator(_headers)] = Field(default_factory=dict)
    body: Annotated[dict[str, Any], AfterValidator(_body)] | None = None
    auth: _Auth = "service_key"
    drains: Annotated[Drains | None, BeforeValidator(_no_none)] = None
    invoke: Literal["always", "when_due"] = "always"
    batch_size: Annotated[int, Field(ge=1, le=200)] = 50
    max_requests: Annotated[int, Field(ge=1, le=100)] = 4
    overlap: Literal["allow", "skip"] = "allow"
    retry: RetrySettings | None = None
    expect: ExpectSettings | None = None
    reports_within: Annotated[Duration, Field(ge=timedelta(seconds=1), le=timedelta(days=1))] | None = None
    enabled: bool = True
    targets: Annotated[list[str], AfterValidator(_target_names)] | None = None

    @property
    def kind(self) -> Kind:
        """Which of function, url, sql and watch the job has."""
        return next(iter(self._kinds()), "function")

    @property
    def calls(self) -> bool:
        """Whether the job makes HTTP calls."""
        return self.kind in {"function", "url"}

    @property
    def sends_service_key(self) -> bool:
        """Whether its settings let the calls carry the project's service key, in whichever header."""
        named = isinstance(self.auth, SecretAuth) and self.auth.secret == "service_role_key"  # noqa: S105 - a name
        return self.kind == "function" and (named or self.auth == "service_key")

    @property
    def needs(self) -> tuple[str, ...]:
        """Return the secrets that its calls read, before a cron secret is active."""
        if not self.calls:
            return ()
        # until setup has handed a cron secret over, the calls carry the service key
        shown = self.auth.secret if isinstance(self.auth, SecretAuth) else self.auth
        key = "service_role_key" if shown in {"service_key", "cron_secret"} else shown
        return tuple((["project_url"] if self.kind == "function" else []) + ([] if key == "none" else [key]))

    @property
    def patience(self) -> timedelta:
        """How long an answer may take, and the report after it where there is one."""
        return self.timeout + (self.reports_within or timedelta())

    def _kinds(self) -> Iterator[Kind]:
        return (kind for kind in _KINDS if getattr(self, kind))

    @model_validator(mode="after")
    def _check(self) -> Self:
        kinds = list(self._kinds())
        if len(kinds) > 1:
            raise wrong(kinds[1], f"a job that has {kinds[0]} has no {kinds[1]}: choose one of them")
        if not kinds and not self.is_short:
            raise wrong("", "says nothing of what it does: give it function, url, sql or watch = true")
        if self.kind == "watch":
            self._refuse(self.model_fields_set - {"name", "targets", *_KINDS}, "watch = true leaves the job alone")
        elif self.schedule is None and not self.is_short:
            raise wrong("schedule", 'is missing: write five fields, in UTC, like "*/5 * * * *"')
        if self.kind == "sql":
            allowed = {"name", "schedule", "enabled", "targets", *_KINDS}
            self._refuse(self.model_fields_set - allowed, "a job with sql makes no call")
        self._check_call()
        return self

    def _refuse(self, keys: set[str], reason: str) -> None:
        if keys:
            # the first in the order of the documentation
            key = next(name for name in type(self).model_fields if name in keys)
            raise wrong(key, f"has no meaning here: {reason}")

    def _check_call(self) -> None:
        by_name = self.auth.secret if isinstance(self.auth, SecretAuth) else self.auth
        if self.kind == "url" and by_name in _OF_THE_PROJECT and "auth" in self.model_fields_set:
            raise wrong("auth", f"no credential of the project goes to another address than its own; {_ADVICE}")
        if self.method == "GET" and self.body is not None:
            raise wrong("body", 'is not sent with method = "GET"')
        if isinstance(self.auth, SecretAuth) and self.auth.header.lower() in map(str.lower, self.headers):
            raise wrong("headers", f"{self.auth.header} is the header of auth")
        if not (self.drains or (self.is_short and "drains" not in self.model_fields_set)):
            self._refuse(
                self.model_fields_set & {"invoke", "batch_size", "max_requests"},
                'only a job with drains = "auto_sync_schedules" knows what is due',
            )


# the main job where no job of the settings runs on the target: it does nothing
NO_JOB = JobSettings.model_construct(set(), name=GUIDE_JOB, watch=True)


class ShortJob(JobSettings):
    """`[job]`: the guide's job, which calls auto-sync-cron every five minutes and drains the schedules by default."""

    is_short: ClassVar[bool] = True

    name: Annotated[str, AfterValidator(check_name)] = GUIDE_JOB


def resolved(job: JobSettings, name: str, auth: str | None = None) -> JobSettings:
    """Return a job with its name and the defaults of its form; `auth` is what [function] says.

    It still says which keys were set: a job that the database has already keeps what no setting names.
    """
    values: dict[str, Any] = {key: getattr(job, key) for key in JobSettings.model_fields} | {"name": name}
    chosen = set(job.model_fields_set)
    if isinstance(job, ShortJob):
        values["schedule"] = job.schedule or (None if job.kind == "watch" else GUIDE_SCHEDULE)
        if job.kind == "function":
            values["function"] = job.function or GUIDE_FUNCTION
        if job.calls and "drains" not in chosen:
            values["drains"] = "auto_sync_schedules"
        if job.calls and auth is not None:
            values["auth"] = auth
            chosen.add("auth")
    if job.kind == "url" and "auth" not in chosen:
        values["auth"] = "none"
    return JobSettings.model_construct(chosen, **values)
