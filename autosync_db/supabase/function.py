"""The preflight: call a function from here to see whether it accepts a credential, without a sync where possible.

The shipped function authenticates its caller first, so a GET is enough: 401 without a valid credential, 405 with one.
A function that looks at the method first answers every GET with 405; it is sent one POST, whose `probe` makes the
shipped functions run nothing. So is one whose gateway refuses unauthenticated callers itself.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from autosync_db.errors import UnreachableError
from autosync_db.supabase.http_client import client_for

if TYPE_CHECKING:
    import httpx

CRON_SECRET_HEADER = "x-autosync-cron-secret"  # noqa: S105 - the name of a header
_REFUSED = {401, 403}
_PAGE_TYPE = re.compile(r"\s*(text/html|application/xhtml)", re.IGNORECASE)
_PAGE = re.compile(r"[\s\ufeff]*(<!--.*?-->\s*)*(<!doctype\s+html|<html[\s>])", re.IGNORECASE | re.DOTALL)
_METHOD_NOT_ALLOWED = 405


class Verdict(StrEnum):
    """What is known of a credential; UNCLEAR: the answer was about something else, or there was none."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    UNCLEAR = "unclear"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, the answers that it rests on in a few words, and the gateway's error code, empty if it sent none."""

    verdict: Verdict
    summary: str
    error_code: str = ""

    @property
    def by_gateway(self) -> bool:
        """Whether the gateway answered and not the function itself."""
        return bool(self.error_code)


def preflight(project_url: str, function: str, credential: Mapping[str, str], timeout: timedelta) -> Finding:
    """Return whether the function at `project_url` accepts the headers `credential`.

    Raises UnreachableError when it cannot be reached from here, which says nothing about the credential.
    """
    import httpx

    address = _address(project_url, function)
    try:
        with client_for(address, timeout.total_seconds()) as client:
            return _preflight(client, address, credential)
    except httpx.HTTPError as error:
        # the exception holds the request, and that the credential
        raise UnreachableError(
            f"the function cannot be reached from here: {error or type(error).__name__}; nothing was changed",
            hint="check the network, or pass --no-preflight: the database's own call then has to prove the key",
        ) from None


def call_without_credential(project_url: str, function: str, headers: Mapping[str, str], timeout: timedelta) -> Finding:
    """Return whether the function at `project_url` refuses a caller who sends `headers`, which are no credential.

    A GET comes first: a function that authenticates its caller first, or takes POST alone, runs nothing then. A POST
    follows unless that was accepted, with a body on which the shipped function runs nothing even if it accepts
    everybody. Raises UnreachableError when it cannot be reached from here.
    """
    import httpx

    address = _address(project_url, function)
    try:
        with client_for(address, timeout.total_seconds()) as client:
            answer = client.get(address, headers=dict(headers))
            if answer.status_code in {*_REFUSED, _METHOD_NOT_ALLOWED}:
                answer = client.post(address, headers=dict(headers), json={"probe": True})
            return _judge(answer)
    except httpx.HTTPError as error:
        raise UnreachableError(
            f"the function cannot be reached from here: {error or type(error).__name__}", hint="check the network"
        ) from None


def _address(project_url: str, function: str) -> str:
    return f"{project_url.rstrip('/')}/functions/v1/{function}"


def _preflight(client: "httpx.Client", address: str, credential: Mapping[str, str]) -> Finding:
    answer = client.get(address, headers=dict(credential))
    if answer.status_code != _METHOD_NOT_ALLOWED:
        return _judge(answer)
    # what a gateway wants of everybody is no credential; a cron secret is one, on a header of its own
    known = {name: value for name, value in credential.items() if name != CRON_SECRET_HEADER}
    unauthenticated = client.get(address, headers=known if CRON_SECRET_HEADER in credential else {})
    # a refusal by the gateway does not show whether the function authenticates its caller
    if unauthenticated.status_code in _REFUSED and not _judge(unauthenticated).by_gateway:
        return Finding(
            Verdict.ACCEPTED, f"{answer.status_code}, and {unauthenticated.status_code} without a credential"
        )
    return _judge(client.post(address, headers=dict(credential), json={"probe": True, "batch_size": 1}))


def _judge(answer: "httpx.Response") -> Finding:
    code = answer.headers.get("sb-error-code", "")
    summary = f"{answer.status_code} {code}".strip()
    if answer.status_code in _REFUSED or code.startswith("UNAUTHORIZED"):
        return Finding(Verdict.REFUSED, summary, code)
    # as autosync.answered_by() knows one; a page is no function's answer, whatever its status
    if _PAGE_TYPE.match(answer.headers.get("content-type", "")) or _PAGE.match(answer.text[:4000]):
        return Finding(Verdict.UNCLEAR, f"{summary}, a web page", code)
    return Finding(Verdict.ACCEPTED if answer.is_success else Verdict.UNCLEAR, summary, code)
