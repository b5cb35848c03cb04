"""A server on loopback that answers as Supabase's Management API does, with keys, secrets, functions and a log.

The schemas are written after the published OpenAPI document; every answer of this server is checked against its own.
"""

import hashlib
import json
import re
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema

from tests.support import http_stub, keys

_MOMENT = {"type": ["string", "null"], "format": "date-time"}
_TEXT = {"type": ["string", "null"]}
API_KEY = {
    "type": "object",
    "required": ["name"],
    "additionalProperties": False,
    "properties": {
        "api_key": _TEXT,
        "id": _TEXT,
        "type": {"enum": ["legacy", "publishable", "secret", None]},
        "prefix": _TEXT,
        "name": {"type": "string"},
        "description": _TEXT,
        "hash": _TEXT,
        "secret_jwt_template": {"type": ["object", "null"]},
        "inserted_at": _MOMENT,
        "updated_at": _MOMENT,
    },
}
PROJECT = {
    "type": "object",
    "required": ["id", "ref", "organization_id", "name", "region", "created_at", "status", "database"],
    "properties": {
        "status": {
            "enum": [
                "INACTIVE", "ACTIVE_HEALTHY", "ACTIVE_UNHEALTHY", "COMING_UP", "UNKNOWN", "GOING_DOWN", "INIT_FAILED",
                "REMOVED", "RESTORING", "UPGRADING", "PAUSING", "RESTORE_FAILED", "RESTARTING", "PAUSE_FAILED",
                "RESIZING",
            ]
        },
    },
}  # fmt: skip
FUNCTION = {
    "type": "object",
    "required": ["id", "slug", "name", "status", "version", "created_at", "updated_at"],
    "additionalProperties": False,
    "properties": {
        "id": {"type": "string"},
        "slug": {"type": "string"},
        "name": {"type": "string"},
        "status": {"enum": ["ACTIVE", "REMOVED", "THROTTLED"]},
        "version": {"type": "integer"},
        "created_at": {"type": "integer"},
        "updated_at": {"type": "integer"},
        "verify_jwt": {"type": "boolean"},
        "import_map": {"type": "boolean"},
        "entrypoint_path": {"type": "string"},
        "import_map_path": {"type": "string"},
        "ezbr_sha256": {"type": "string"},
    },
}
FUNCTION_SECRET = {
    "type": "object",
    "required": ["name", "value"],
    "additionalProperties": False,
    "properties": {"name": {"type": "string"}, "value": {"type": "string"}, "updated_at": {"type": "string"}},
}
LOG = {
    "type": "object",
    "additionalProperties": False,
    "properties": {"result": {"type": "array"}, "error": {"oneOf": [{"type": "string"}, {"type": "object"}]}},
}
NEW_KEY = {
    "type": "object",
    "required": ["type", "name"],
    "properties": {
        "type": {"enum": ["publishable", "secret"]},
        "name": {"type": "string", "minLength": 4, "maxLength": 64, "pattern": "^[a-z_][a-z0-9_]+$"},
        "description": _TEXT,
        "secret_jwt_template": {"type": ["object", "null"]},
    },
}
NEW_SECRETS = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "value"],
        "properties": {
            "name": {"type": "string", "maxLength": 256, "pattern": "^(?!SUPABASE_).*"},
            "value": {"type": "string", "maxLength": 24576},
        },
    },
}
_PROJECT = re.compile(r"/v1/projects/([a-z]{20})(/.*|)")
# what the platform says to an account that may not do something; a scoped token's refusal names the permission
_NO_PRIVILEGES = "Your account does not have the necessary privileges to access this endpoint."


@dataclass
class Request:
    """What the API was asked."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: Any


@dataclass
class Trouble:
    """What happens to a request in place of an answer. `done`: what it asks for is done all the same.

    `cut` sends so many bytes less than were announced, `raw` sends another text.
    """

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    delay_seconds: float = 0
    cut: int = 0
    raw: bytes | None = None
    done: bool = False


@dataclass
class Api:
    """One project and who may do what; `troubles` are used up one per request, `trouble` holds for all it returns for.

    `permissions` are those of a scoped token, None for one that may do everything.
    """

    token: str
    ref: str = keys.PROJECT_REF
    url: str = ""
    state: str = "ACTIVE_HEALTHY"
    keys: list[dict[str, Any]] = field(default_factory=list)
    legacy_enabled: bool | None = False
    secrets: dict[str, str] = field(default_factory=dict)
    functions: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: Callable[[dict[str, str]], dict[str, Any]] = lambda query: {"result": []}
    permissions: set[str] | None = None
    names_permission: bool = True
    troubles: list[Trouble] = field(default_factory=list)
    trouble: Callable[[Request], Trouble | None] = lambda request: None
    requests: list[Request] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def add_key(self, name: str, value: str, kind: str = "secret") -> dict[str, Any]:
        """Give the project a key."""
        made = {
            "id": name if kind == "legacy" else str(uuid.uuid4()),
            "type": kind,
            "name": name,
            "api_key": value,
            "prefix": value[len("sb_secret_") : len("sb_secret_") + 5],
            "description": None,
            "hash": "h" * 43,
            "inserted_at": "2026-11-01T10:00:00.000Z",
            "updated_at": "2026-11-01T10:00:00.000Z",
        }
        self.keys.append(made)
        return made

    def deploy(self, slug: str, *, verify_jwt: bool = False, version: int = 1, status: str = "ACTIVE") -> None:
        """Deploy a function."""
        self.functions[slug] = {
            "id": str(uuid.uuid4()),
            "slug": slug,
            "name": slug,
            "status": status,
            "version": version,
            "created_at": 1764000000000,
            "updated_at": 1764000000000,
            "verify_jwt": verify_jwt,
        }

    def asked(self, method: str | None = None) -> list[str]:
        """Return the paths below the project that were asked for, in order."""
        prefix = f"/v1/projects/{self.ref}/"
        return [r.path.removeprefix(prefix) for r in self.requests if method in {None, r.method}]

    def answer(self, request: Request) -> tuple[int, Any, dict[str, Any] | None]:
        """Return status, body and the body's schema, after doing what is asked."""
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return 401, {"message": "Unauthorized"}, None
        found = _PROJECT.fullmatch(request.path)
        if not found or found[1] != self.ref:
            return 404, {"message": "Project not found"}, None
        for method, pattern, permission, handler in _ROUTES:
            matched = re.fullmatch(pattern, found[2])
            if method != request.method or not matched:
                continue
            if permission == "api_gateway_keys_read" and request.query.get("reveal") == "true":
                permission = "api_gateway_keys_secret_read"
            if self.permissions is not None and permission not in self.permissions:
                said = f" Missing permission: {permission}" if self.names_permission else ""
                return 403, {"message": _NO_PRIVILEGES + said}, None
            return handler(self, request, *matched.groups())
        return 404, {"message": f"Cannot {request.method} {request.path}"}, None


_Answer = tuple[int, Any, dict[str, Any] | None]


def _shown(key: dict[str, Any], request: Request) -> dict[str, Any]:
    is_open = request.query.get("reveal") == "true" or key["type"] != "secret"
    return key if is_open else key | {"api_key": f"sb_secret_{key['prefix']}" + "\N{MIDDLE DOT}" * 20}


def _project(api: Api, request: Request) -> _Answer:
    named = dict.fromkeys(("id", "ref"), api.ref) | dict.fromkeys(("organization_id", "name", "region"), "x")
    database = {"host": f"db.{api.ref}.supabase.co", "version": "17.6.1.029"}
    at = "2026-11-01T10:00:00.000Z"
    return 200, {**named, "created_at": at, "status": api.state, "database": database}, PROJECT


def _list_keys(api: Api, request: Request) -> _Answer:
    return 200, [_shown(key, request) for key in api.keys], {"type": "array", "items": API_KEY}


def _make_key(api: Api, request: Request) -> _Answer:
    if not _fits(request.body, NEW_KEY):
        return 400, {"message": "name must match the pattern"}, None
    if any(key["name"] == request.body["name"] for key in api.keys):
        return 400, {"message": f"API key with name {request.body['name']} exists already"}, None
    made = api.add_key(request.body["name"], keys.secret().reveal(), request.body["type"])
    made["description"] = request.body.get("description")
    return 201, _shown(made, request), API_KEY


def _drop_key(api: Api, request: Request, id: str) -> _Answer:
    found = next((key for key in api.keys if key["id"] == id and key["type"] != "legacy"), None)
    if found is None:
        return 404, {"message": "API key not found"}, None
    api.keys.remove(found)
    return 200, _shown(found, request), API_KEY


def _legacy(api: Api, request: Request) -> _Answer:
    if api.legacy_enabled is None:
        return 404, {"message": "Not Found"}, None
    return 200, {"enabled": api.legacy_enabled}, {"type": "object", "required": ["enabled"]}


def _list_functions(api: Api, request: Request) -> _Answer:
    return 200, list(api.functions.values()), {"type": "array", "items": FUNCTION}


def _one_function(api: Api, request: Request, slug: str) -> _Answer:
    found = api.functions.get(slug)
    return (200, found, FUNCTION) if found else (404, {"message": "Function not found"}, None)


def _list_secrets(api: Api, request: Request) -> _Answer:
    # the platform shows a digest in place of the value
    shown = [
        {"name": name, "value": hashlib.sha256(one.encode()).hexdigest(), "updated_at": datetime.now(UTC).isoformat()}
        for name, one in api.secrets.items()
    ]
    return 200, shown, {"type": "array", "items": FUNCTION_SECRET}


def _set_secrets(api: Api, request: Request) -> _Answer:
    if not _fits(request.body, NEW_SECRETS):
        return 400, {"message": "Secret name must not start with the SUPABASE_ prefix."}, None
    api.secrets |= {one["name"]: one["value"] for one in request.body}
    return 201, None, None


def _log(api: Api, request: Request) -> _Answer:
    return 200, api.log(request.query), LOG


_Handler = Callable[..., _Answer]
_ROUTES: list[tuple[str, str, str, _Handler]] = [
    ("GET", "", "project_admin_read", _project),
    ("GET", "/api-keys", "api_gateway_keys_read", _list_keys),
    ("POST", "/api-keys", "api_gateway_keys_write", _make_key),
    ("GET", "/api-keys/legacy", "api_gateway_keys_read", _legacy),
    ("DELETE", "/api-keys/([^/]+)", "api_gateway_keys_write", _drop_key),
    ("GET", "/functions", "edge_functions_read", _list_functions),
    ("GET", "/functions/([^/]+)", "edge_functions_read", _one_function),
    ("GET", "/secrets", "edge_functions_secrets_read", _list_secrets),
    ("POST", "/secrets", "edge_functions_secrets_write", _set_secrets),
    ("GET", "/analytics/endpoints/logs", "analytics_logs_read", _log),
]


def _fits(value: Any, schema: dict[str, Any]) -> bool:
    try:
        jsonschema.validate(value, schema)
    except jsonschema.ValidationError:
        return False
    return True


@contextmanager
def serve(token: str) -> Iterator[Api]:
    """Run the API of one project for the time of the block."""
    api = Api(token)
    broken: list[BaseException] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            parts = urlsplit(self.path)
            length = int(self.headers.get("content-length") or 0)
            sent = self.rfile.read(length)
            request = Request(
                self.command,
                parts.path,
                {name: values[0] for name, values in parse_qs(parts.query).items()},
                {name.lower(): value for name, value in self.headers.items()},
                json.loads(sent) if sent else None,
            )
            api.requests.append(request)
            trouble = api.troubles.pop(0) if api.troubles else api.trouble(request)
            status, body = 200, None
            if trouble is None or trouble.done or (trouble.status == 200 and trouble.raw is None):
                status, body, schema = api.answer(request)
                if schema:
                    try:
                        jsonschema.validate(body, schema)
                    except jsonschema.ValidationError as error:
                        broken.append(error)
            if trouble and trouble.status != 200:
                status, body = trouble.status, trouble.body
            if trouble:
                api.release.wait(trouble.delay_seconds)
            self._send(status, b"" if body is None else json.dumps(body).encode(), trouble or Trouble())

        def _send(self, status: int, payload: bytes, trouble: Trouble) -> None:
            payload = payload if trouble.raw is None else trouble.raw
            with suppress(OSError):  # the caller gave up waiting
                self.send_response(status)
                self.send_header("content-type", "application/json; charset=utf-8")
                self.send_header("content-length", str(len(payload)))
                for name, value in trouble.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload[: len(payload) - trouble.cut])
                if trouble.cut:
                    self.close_connection = True

        do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - names that the base class looks for

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with http_stub.serving(Handler, api.release) as api.url:
        yield api
    assert not broken, f"the test's own server left the published form: {broken[0]}"
