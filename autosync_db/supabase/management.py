"""A project as Supabase's Management API shows it: its API keys, functions, their secrets, and its log.

Forms, names and permissions are those of the published OpenAPI document (https://api.supabase.com/api/v1). Nothing
here is needed to run: the API can be asked only where somebody has set an access token.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from autosync_db.errors import UsageError
from autosync_db.plain import without_controls
from autosync_db.secret import Secret
from autosync_db.supabase import key
from autosync_db.supabase.address import url_of
from autosync_db.supabase.management_request import Access, Kind, ManagementError, Request, send, wrong_shape

T = TypeVar("T")

SECRET, PUBLISHABLE, LEGACY = "secret", "publishable", "legacy"
# which permission a scoped token needs for what; guides name them
READ_KEYS, REVEAL_KEYS, WRITE_KEYS = (
    "api_gateway_keys_read",
    "api_gateway_keys_secret_read",
    "api_gateway_keys_write",
)
READ_FUNCTIONS = "edge_functions_read"
READ_PROJECT = "project_admin_read"
READ_SECRETS, WRITE_SECRETS = "edge_functions_secrets_read", "edge_functions_secrets_write"
READ_LOGS = "analytics_logs_read"
_KEY_NAME = re.compile(r"[a-z_][a-z0-9_]{3,63}")
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SLUG = re.compile(r"[A-Za-z0-9_-]+")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key of the project; `value` is None where the API did not reveal it."""

    id: str | None
    name: str
    kind: str  # SECRET, PUBLISHABLE or LEGACY
    value: Secret | None = None

    @property
    def is_secret(self) -> bool:
        """Whether it is one of the secret keys that are made and deleted one by one."""
        return self.kind == SECRET

    @property
    def fingerprint(self) -> str | None:
        """Return what the store calls this key, None where it is not revealed."""
        return key.fingerprint(self.value) if self.value else None


@dataclass(frozen=True, slots=True)
class Function:
    """A function that is deployed."""

    slug: str
    status: str  # ACTIVE, REMOVED or THROTTLED
    version: int
    verify_jwt: bool | None

    @property
    def is_active(self) -> bool:
        """Whether it answers calls."""
        return self.status != "REMOVED"


@dataclass(frozen=True, slots=True)
class FunctionSecret:
    """The name of a secret that the project's functions see as a variable; of its value the API shows the SHA-256."""

    name: str
    digest: str | None = None


class _ShapeError(ValueError):
    """An answer lacks a field or has another one in its place; names the field, never what it holds."""


@dataclass(frozen=True, slots=True)
class Management:
    """One project, asked with one token. Every method raises ManagementError, for which see its kinds."""

    project_ref: str
    access: Access = field(repr=False)

    def __post_init__(self) -> None:
        """Refuse what is no ref: it becomes a part of the address."""
        url_of(self.project_ref)

    def api_keys(self, *, reveal: bool = False) -> list[ApiKey]:
        """Return the project's keys, with their values if `reveal`, which needs a permission of its own."""
        request = self._request(
            "GET",
            "api-keys",
            REVEAL_KEYS if reveal else READ_KEYS,
            "read the project's API keys",
            query={"reveal": "true" if reveal else "false"},
        )
        return self._read(request, lambda answer: [_api_key(one) for one in _rows(answer)])

    def create_secret_key(self, name: str, description: str | None = None) -> ApiKey:
        """Make a secret key and return it with its value.

        A lost answer leaves it unknown whether the key was made (`is_unclear`): look for its name then.
        Raises UsageError for a name that no key can have.
        """
        if not _KEY_NAME.fullmatch(name):
            raise UsageError(
                f"{name!r} cannot be the name of a key" if name.isprintable() else "this cannot be the name of a key",
                hint="4 to 64 lower-case letters, digits and _, the first no digit",
            )
        body = {"type": SECRET, "name": name} | ({"description": description} if description else {})
        request = self._request(
            "POST", "api-keys", WRITE_KEYS, f"make the secret key {name}", query={"reveal": "true"}, body=body
        )

        def made(answer: Any) -> ApiKey:
            found = _api_key(_row(answer))
            if found.value is None or found.id is None or not found.is_secret:
                raise _ShapeError("the new key is not in it")
            return found

        return self._read(request, made)

    def delete_key(self, id: str, *, reason: str | None = None) -> bool:
        """Delete a key for good; return whether it was there."""
        if not _ID.fullmatch(id):
            raise UsageError("this is not the id of a key", hint="take the id from the list of keys")
        query = {"was_compromised": "false"} | ({"reason": reason} if reason else {})
        request = self._request("DELETE", f"api-keys/{id}", WRITE_KEYS, "delete an API key", "such key", query=query)
        try:
            send(self.access, request)
        except ManagementError as error:
            # also where an attempt whose answer was lost had deleted it
            if error.kind is Kind.MISSING:
                return False
            raise
        return True

    def legacy_keys_enabled(self) -> bool | None:
        """Return whether the anon and service_role keys open the project; None once the API has no such question."""
        request = self._request(
            "GET", "api-keys/legacy", READ_KEYS, "read whether the legacy keys are on", "state of legacy keys"
        )
        try:
            return self._read(request, lambda answer: _field(_row(answer), "enabled", bool))
        except ManagementError as error:
            if error.kind is not Kind.MISSING:
                raise
            # "This API endpoint will be removed in the future, check for HTTP 404"; or else there is no such project
            self.api_keys()
            return None

    def state(self) -> str:
        """Return the state of the project in the API's word, such as ACTIVE_HEALTHY or INACTIVE."""
        request = self._request("GET", "", READ_PROJECT, "read the state")
        return self._read(request, lambda answer: _field(_row(answer), "status", str))

    def functions(self) -> list[Function]:
        """Return the functions that are deployed."""
        request = self._request("GET", "functions", READ_FUNCTIONS, "read the project's functions")
        return self._read(request, lambda answer: [_function(one) for one in _rows(answer)])

    def function(self, slug: str) -> Function | None:
        """Return a deployed function, None where none of that name is, or only one that was removed."""
        if not _SLUG.fullmatch(slug):
            raise UsageError("this is not the name of a function", hint="letters, digits, _ and - only")
        request = self._request(
            "GET", f"functions/{slug}", READ_FUNCTIONS, f"read the function {slug}", "such function"
        )
        try:
            found = self._read(request, lambda answer: _function(_row(answer)))
        except ManagementError as error:
            if error.kind is Kind.MISSING:
                return None
            raise
        return found if found.is_active else None

    def secrets(self) -> list[FunctionSecret]:
        """Return the names of what the functions see as variables."""
        request = self._request("GET", "secrets", READ_SECRETS, "read the names of the function's secrets")
        return self._read(request, lambda answer: [_secret(one) for one in _rows(answer)])

    def set_secrets(self, values: Mapping[str, Secret]) -> None:
        """Set secrets of the functions, old values of the same names are replaced."""
        if any(name.startswith("SUPABASE_") or not re.fullmatch(r"[A-Za-z_]\w{0,255}", name) for name in values):
            raise UsageError("a function's secret cannot have that name", hint="a variable's name without SUPABASE_")
        body = [{"name": name, "value": value.reveal()} for name, value in values.items()]
        request = self._request(
            "POST",
            "secrets",
            WRITE_SECRETS,
            f"set the function's secret {', '.join(values)}",
            body=body,
            repeats=True,
        )
        send(self.access, request)

    def log(self, query: str, since: datetime, until: datetime) -> list[dict[str, Any]]:
        """Return the rows of a query of the project's log, which is ClickHouse's SQL on the table `logs`.

        The API takes 24 hours at most, and rounds both ends to minutes.
        """
        between = {"iso_timestamp_start": _iso(since), "iso_timestamp_end": _iso(until)}
        request = self._request(
            "GET", "analytics/endpoints/logs", READ_LOGS, "read the project's log", query={"sql": query} | between
        )

        def found(answer: Any) -> list[dict[str, Any]]:
            row = _row(answer)
            if row.get("error"):
                said = row["error"].get("message") if isinstance(row["error"], dict) else row["error"]
                raise ManagementError(
                    Kind.REFUSED,
                    f"cannot {request.what}: {key.redact(' '.join(str(said).split()))[:200]}",
                    hint="the platform may keep no log of that time: the plan of the project says how long it does",
                )
            return [_row(one) for one in _rows(row.get("result", []))]

        return self._read(request, found)

    def _request(
        self,
        method: str,
        path: str,
        permission: str,
        what: str,
        subject: str | None = None,
        *,
        query: Mapping[str, str] | None = None,
        body: object = None,
        repeats: bool | None = None,
    ) -> Request:
        return Request(
            method,
            f"/v1/projects/{self.project_ref}/{path}".removesuffix("/"),
            permission,
            f"{what} of {self.project_ref}",
            subject or f"project {self.project_ref} for this token",
            query or {},
            body,
            method != "POST" if repeats is None else repeats,
        )

    def _read(self, request: Request, understand: Callable[[Any], T]) -> T:
        answer = send(self.access, request)
        try:
            return understand(answer)
        except _ShapeError as error:
            raise wrong_shape(self.access, request, str(error)) from None


def _api_key(row: Mapping[str, Any]) -> ApiKey:
    text = _field(row, "api_key", str, None)
    # what is not revealed is absent, null, or masked
    value = Secret(text) if text and re.fullmatch(r"[\x21-\x7e]+", text) and "*" not in text else None
    name = _field(row, "name", str)
    kind = _field(row, "type", str, None) or (LEGACY if name in {"anon", "service_role"} else "")
    return ApiKey(_field(row, "id", str, None), name, kind, value)


def _function(row: Mapping[str, Any]) -> Function:
    return Function(
        _field(row, "slug", str),
        _field(row, "status", str),
        _field(row, "version", int),
        _field(row, "verify_jwt", bool, None),
    )


def _secret(row: Mapping[str, Any]) -> FunctionSecret:
    digest = str(_field(row, "value", str, None) or "").lower()
    is_digest = re.fullmatch("[0-9a-f]{64}", digest) is not None
    return FunctionSecret(_field(row, "name", str), digest if is_digest else None)


def _rows(answer: Any) -> list[Any]:
    if not isinstance(answer, list):
        raise _ShapeError("a list was expected")
    return answer


def _row(answer: Any) -> dict[str, Any]:
    if not isinstance(answer, dict):
        raise _ShapeError("an object was expected")
    return answer


_REQUIRED: Any = object()


def _field(row: Any, name: str, kind: type[T], otherwise: Any = _REQUIRED) -> T:
    """Return a field of that type; without it `otherwise`. Raises _ShapeError."""
    found = _row(row).get(name)
    if found is None and otherwise is not _REQUIRED:
        return otherwise  # type: ignore[no-any-return]
    if not isinstance(found, kind) or (kind is int and isinstance(found, bool)):
        raise _ShapeError(f"the field {name} is missing or of another type")
    # names are printed: nothing in them must steer a terminal
    return without_controls(found) if isinstance(found, str) else found  # type: ignore[return-value]


def _iso(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
