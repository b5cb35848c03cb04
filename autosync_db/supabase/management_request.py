"""One request to the Management API: who is asked, how often and how long, and what is said when it fails.

The access token leaves its wrapper in one place alone, and only for an address that is encrypted or this machine.
"""

import json
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from autosync_db.errors import UnreachableError, UsageError
from autosync_db.plain import clean
from autosync_db.secret import Secret
from autosync_db.supabase import key
from autosync_db.supabase.http_client import CONNECT_SECONDS, LOOPBACK, client_for

if TYPE_CHECKING:
    import httpx
    from tenacity import RetryCallState

DEFAULT_URL = "https://api.supabase.com"
TOKEN_VARIABLE = "SUPABASE_ACCESS_TOKEN"  # noqa: S105 - the name of a variable
URL_VARIABLE = "AUTOSYNC_SUPABASE_API_URL"
WHERE_TOKENS_ARE = "https://supabase.com/dashboard/account/tokens"
_ATTEMPTS = 4
_MOST_BYTES = 8 << 20
_WORDS, _MOST_WORDS = 160, 4000
# as the API's own documents write them: api_gateway_keys_read, analytics_logs_read
_PERMISSION = re.compile(r"\b[a-z]{1,40}(?:_[a-z]{1,40}){1,6}_(?:read|write)\b")
_SERVER_FAILED, _TOO_MANY = 500, 429


class Kind(StrEnum):
    """What went wrong with a request."""

    TOKEN_REFUSED = "token refused"  # noqa: S105 - the name of a kind
    FORBIDDEN = "forbidden"
    MISSING = "missing"
    TOO_MANY = "too many requests"
    FAILED = "the API failed"
    SLOW = "slow"
    BROKEN = "broken answer"
    UNREACHABLE = "unreachable"
    REFUSED = "refused"


class ManagementError(UnreachableError):
    """The Management API did not do what it was asked.

    `permission` is the one that a scoped token lacks. `is_unclear`: the request was sent and its answer was lost, so
    that what it asks for may be done all the same. `retry_after` are the seconds that the API asks to wait.
    """

    def __init__(
        self,
        kind: Kind,
        message: str,
        *,
        hint: str,
        permission: str | None = None,
        is_unclear: bool = False,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.kind = kind
        self.permission = permission
        self.is_unclear = is_unclear
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Access:
    """A token, and where it may be sent: https, or this machine. Raises UsageError for anything else.

    `patience` is how long one request may take, with all that is tried again; `wait` what passes the time between.
    """

    token: Secret
    url: str = DEFAULT_URL
    patience: float = 30
    wait: Callable[[float], None] = field(default=time.sleep, repr=False)

    def __post_init__(self) -> None:
        """Refuse an address that is no place for a token, and what can be none."""
        _check_url(self.url)
        text = self.token.reveal()
        if not re.fullmatch(r"[\x21-\x7e]+", text):
            raise UsageError(
                f"{TOKEN_VARIABLE} holds blanks or control characters", hint="set it to only the token, on one line"
            )
        if any(re.fullmatch(one.whole, text) for one in key.PATTERNS if one.name != "access_token"):
            raise UsageError(
                f"{TOKEN_VARIABLE} holds a key of a project, not an access token",
                hint=f"make an access token at {WHERE_TOKENS_ARE}; it begins with sbp_",
            )


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked for, in the API's terms and in words.

    `permission` is what a scoped token needs for it, `what` completes "cannot …", `subject` is what a 404 speaks of.
    A request that `repeats` may be sent twice: the second changes nothing more.
    """

    method: str
    path: str
    permission: str
    what: str
    subject: str
    query: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    repeats: bool = True


def send(access: Access, request: Request) -> Any:
    """Return the answer's JSON, None for an empty one. Raises ManagementError.

    What may pass is tried again, within `access.patience`: no connection, 5xx, 429 for as long as the API says.
    """
    import tenacity

    ends_at = time.monotonic() + access.patience

    def may_pass(error: BaseException) -> bool:
        if not isinstance(error, ManagementError):
            return False
        # a request that was not done can always be sent again
        is_safe = request.repeats or not error.is_unclear
        return is_safe and error.kind in {
            Kind.TOO_MANY,
            Kind.FAILED,
            Kind.BROKEN,
            Kind.UNREACHABLE,
        }

    def pause(state: "RetryCallState") -> float:
        error = state.outcome.exception() if state.outcome else None
        asked = error.retry_after if isinstance(error, ManagementError) else None
        return asked if asked is not None else min(0.25 * 2**state.attempt_number, 4.0)

    tries = tenacity.Retrying(
        retry=tenacity.retry_if_exception(may_pass),
        wait=pause,
        stop=tenacity.stop_after_attempt(_ATTEMPTS) | tenacity.stop_before_delay(access.patience),
        sleep=access.wait,
        reraise=True,
    )
    base_url = access.url.rstrip("/")
    try:
        client = client_for(access.url, access.patience, accepts="application/json", base_url=base_url)
    except UsageError as error:
        raise ManagementError(Kind.UNREACHABLE, f"cannot {request.what}: {error.message}", hint=error.hint) from None
    with client:
        return tries(_attempt, client, access, request, ends_at)


def _attempt(client: "httpx.Client", access: Access, request: Request, ends_at: float) -> Any:
    import httpx

    left = ends_at - time.monotonic()
    if left <= 0:
        raise _slow(access, request)
    try:
        with client.stream(
            request.method,
            request.path,
            params=dict(request.query),
            json=request.body,
            headers={"authorization": f"Bearer {access.token.reveal()}"},
            timeout=httpx.Timeout(left, connect=min(left, CONNECT_SECONDS)),
        ) as answer:
            text = _read(answer, access, request, ends_at)
    except httpx.ConnectError as error:
        raise _error(Kind.UNREACHABLE, request, f"{_host(access)} cannot be reached: {_words(str(error))}") from None
    except httpx.ConnectTimeout:
        raise _error(Kind.UNREACHABLE, request, f"{_host(access)} cannot be reached: no connection in time") from None
    except httpx.TimeoutException:
        raise _slow(access, request) from None
    except httpx.HTTPError as error:
        # the exception holds the request, and that the token
        said = f"the answer of {_host(access)} broke off: {_words(str(error) or type(error).__name__)}"
        raise _error(Kind.BROKEN, request, said, is_unclear=True) from None
    if not answer.is_success:
        raise _refusal(answer, text, access, request)
    return _parsed(text, access, request)


def _read(answer: "httpx.Response", access: Access, request: Request, ends_at: float) -> str:
    """Return the body; a read timeout alone would let an answer that comes in drops take for ever."""
    chunks, size = [], 0
    for chunk in answer.iter_bytes():
        size += len(chunk)
        if time.monotonic() > ends_at:
            raise _slow(access, request)
        if size > _MOST_BYTES:
            raise _error(Kind.BROKEN, request, f"{_host(access)} answered with more than {_MOST_BYTES >> 20} MB")
        chunks.append(chunk)
    return b"".join(chunks).decode("utf-8", errors="replace")


def _parsed(text: str, access: Access, request: Request) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise wrong_shape(access, request, "it is not JSON") from None


def wrong_shape(access: Access, request: Request, said: str) -> ManagementError:
    """Return the error of an answer that has another form than the API's document says; its text is not quoted."""
    return _error(Kind.BROKEN, request, f"{_host(access)} answered in an unknown form: {said}", is_unclear=True)


def _refusal(answer: "httpx.Response", text: str, access: Access, request: Request) -> ManagementError:
    status, said = answer.status_code, _said(text)
    if status == 401:
        return ManagementError(
            Kind.TOKEN_REFUSED,
            f"cannot {request.what}: the Management API refuses the access token (401)",
            hint=f"set {TOKEN_VARIABLE} to a token that is still valid; make one at {WHERE_TOKENS_ARE}",
        )
    if status == 403:
        named = _PERMISSION.search(text[:_MOST_WORDS])
        permission = named[0] if named else request.permission
        return ManagementError(
            Kind.FORBIDDEN,
            f"cannot {request.what}: the access token lacks the permission {permission} (403)",
            hint=f"add {permission} to the scoped token, or use one of an account whose role in the project allows it:"
            f" {WHERE_TOKENS_ARE}",
            permission=permission,
        )
    if status == 404:
        return ManagementError(
            Kind.MISSING,
            f"cannot {request.what}: there is no {request.subject} (404)",
            hint="check the project ref, and that the token's account is a member of that project's organization",
        )
    if status == _TOO_MANY:
        seconds = _retry_after(answer.headers.get("retry-after", ""))
        when = f"in {seconds:.0f} s" if seconds is not None else "in a minute"
        return ManagementError(
            Kind.TOO_MANY,
            f"cannot {request.what}: the Management API has had too many requests (429)",
            hint=f"try again {when}; it counts the requests of all programs with this account",
            retry_after=seconds,
        )
    if status >= _SERVER_FAILED:
        return _error(Kind.FAILED, request, f"{_host(access)} failed ({status}){said}", is_unclear=True)
    if answer.is_redirect:
        return _error(Kind.BROKEN, request, f"{_host(access)} sends the request elsewhere ({status}), not followed")
    return ManagementError(
        Kind.REFUSED, f"cannot {request.what}: the Management API refuses that ({status}){said}", hint="see its reason"
    )


def _error(kind: Kind, request: Request, said: str, *, is_unclear: bool = False) -> ManagementError:
    return ManagementError(
        kind,
        f"cannot {request.what}: {said}",
        hint=f"try again later; https://status.supabase.com reports outages, and {URL_VARIABLE} sets another address",
        is_unclear=is_unclear,
    )


def _slow(access: Access, request: Request) -> ManagementError:
    return _error(Kind.SLOW, request, f"{_host(access)} did not answer within {access.patience:.0f} s", is_unclear=True)


def _said(text: str) -> str:
    """Return what the API says of a refusal, in one line and with keys masked; nothing where it says nothing."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        return ""
    said = answer.get("message") or answer.get("error") if isinstance(answer, dict) else None
    return f": {_words(said)}" if isinstance(said, str) and said else ""


def _words(text: str) -> str:
    return key.redact(clean(text))[:_WORDS]


def _retry_after(header: str) -> float | None:
    """Return the seconds of a Retry-After header, in both of its forms; None where it has neither."""
    if re.fullmatch(r"[0-9]{1,6}", header.strip()):
        return float(header)
    try:
        at = parsedate_to_datetime(header)
        at = at if at.tzinfo else at.replace(tzinfo=UTC)
        return max((at - datetime.now(UTC)).total_seconds(), 0.0)
    except (ValueError, OverflowError):
        return None


def _host(access: Access) -> str:
    return urlsplit(access.url).netloc


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in {"http", "https"} or "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"{URL_VARIABLE} is not the address of an API",
            hint=f"use https://HOST[:PORT], or unset it for {DEFAULT_URL}",
        )
    if parts.scheme == "http" and host not in LOOPBACK:
        raise UsageError(
            f"{URL_VARIABLE} is not encrypted: the access token is not sent there",
            hint=f"use https://{parts.netloc}; plain http is only for this machine",
        )
