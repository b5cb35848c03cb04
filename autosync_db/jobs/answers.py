"""What an HTTP answer shows of a run, judged outside of the database.

`audit` looks at databases that have none of our functions, and its transaction may not make any. So this says in Python
what autosync.stated_outcome(), answer_facts() and answered_by() say in SQL (sql/functions): the words are explained
there and in docs/reference/answers.md. tests/jobs/test_answers.py holds the two together, case by case and on JSON at random.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

LONGEST = 100_000  # bytes of a body that are read
_MOST = 200  # keys or items of one level
_LONGEST_WORDS = 4000
_LARGEST_EXPONENT = 131_071  # of PostgreSQL's numeric
_ZERO = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_GOOD_NAMES = {"ok", "isok", "success", "issuccess", "issuccessful", "successful", "succeeded"}
_STATUS_NAMES = {"status", "state", "result", "outcome", "runstatus"}
_CODE_NAMES = {"status", "statuscode", "httpstatus", "httpcode"}
_ERROR_NAMES = set(
    "error err exception errormessage errormsg errordescription errordetails errortype errorcode errors exceptions failure"
    " failurereason".split()
)
_FAILED_NAMES = set(
    "failed failures failedcount failurecount failcount numfailed totalfailed errored error errors errorcount errorscount"
    " numerrors totalerrors exceptions".split()
)
_TOTAL_NAMES = {"total", "count", "processed", "attempted", "claimed", "tried", "due", "items", "rows", "jobs"}
_NO_ERROR = {"", "0", "none", "null", "no", "false", "ok", "n/a", "no error", "no errors", "success"}
_STATES_FAILURE = re.compile(
    r"(error|errored|errors|fail|fails|failed|failure|fatal|exception|crashed|aborted|time[d]?[ _-]?out|unhealthy|ko|nok|not ok)"
)
_STATES_SUCCESS = re.compile(r"(ok|okay|success|succeeded|successful|done|complete|completed|finished|passed|healthy)")
_SUCCEEDED = re.compile(
    r"(succeeded|success|successes|successful|ok|sent|synced|completed|done|imported|exported|created|inserted|updated"
    r"|upserted|deleted|delivered|passed)(count|s)?"
)
_NO_COUNT = re.compile(
    r"duration|elapsed|took|time|stamp|millis|seconds|ms$|^id$|id$|page|limit|offset|version|attempt|skip|retr|remaining"
    r"|pending|next|batch|port|pid|refused|lost|code"
)
_LISTS_OF_RUNS = re.compile(r"(results?|runs|jobs|syncs|steps|tasks|outcomes|responses)")
_OF_THE_RUN = re.compile(
    r"(results?|response|body|output|payload|summary|counts|stats|statistics|run|runs|job|jobs|sync|syncs|report|outcomes?)"
)
_NEVER_INNER = {"error", "errors", "exception", "exceptions", "failures", "failed"}


@dataclass(frozen=True, slots=True)
class Stated:
    """What a JSON answer states of its own run; `denied`: it says in so many words that it did not succeed."""

    is_good: bool
    words: str | None = None
    denied: bool = False


def stated(body: str) -> tuple[bool, Stated | None]:
    """Return whether a body is JSON that can be read, and what that states."""
    if len(body.encode("utf-8", "replace")) > LONGEST or body.lstrip(" \t\r\n")[:1] not in ("{", "["):
        return False, None
    try:
        said = json.loads(body, parse_float=_decimal, parse_constant=_refuse)
        # what JSON allows and a database does not hold: half a pair of surrogates, and the character 0
        json.dumps(said, default=str, ensure_ascii=False).encode()
        if _ZERO.search(body):
            return False, None
    except (ValueError, RecursionError):
        return False, None
    return True, outcome(said)


def outcome(said: Any, *, is_inner: bool = False) -> Stated | None:
    """Return what JSON states of its run, None where it states nothing; at the top and one level down."""
    if isinstance(said, list):
        return _of_list(said)
    if not isinstance(said, dict):
        return None
    reason = _reason(said)
    if not is_inner and isinstance(said.get("ok"), bool) and _is_number(said.get("duration_ms")):
        return Stated(True) if said["ok"] else Stated(False, reason)
    items = [_Item(key, value) for key, value in sorted(said.items())][:_MOST]
    tally = _Tally(reason)
    for item in items:
        tally.add(item)
        if not is_inner and item.may_state:
            tally.add_inner(item)
    return tally.result(said)


def _of_list(said: list[Any]) -> Stated | None:
    """A list of runs failed when each of them did."""
    if not 1 <= len(said) <= _MOST:
        return None
    words = None
    for one in said:
        inner = outcome(one, is_inner=True) if isinstance(one, dict) else None
        if inner is None or inner.is_good:
            return None
        words = words or inner.words
    return Stated(False, words)


@dataclass(slots=True)
class _Item:
    """A key with its value."""

    key: str
    value: Any

    @property
    def name(self) -> str:
        return "".join(letter for letter in self.key if letter.isalpha()).lower()

    @property
    def word(self) -> str | None:
        """The value as a word, as PostgreSQL writes it."""
        match self.value:
            case None:
                return None
            case bool():
                return "true" if self.value else "false"
            case str():
                return self.value.strip(" ").lower()
            case Decimal():
                return format(self.value, "f")
        return json.dumps(self.value, default=str).lower()

    @property
    def amount(self) -> Decimal | None:
        if _is_number(self.value):
            return Decimal(self.value)
        return Decimal(len(self.value)) if isinstance(self.value, list) else None

    @property
    def may_state(self) -> bool:
        """Whether it may hold what states the outcome."""
        if self.name in _NEVER_INNER:
            return False
        return isinstance(self.value, dict) or (
            isinstance(self.value, list) and bool(_LISTS_OF_RUNS.fullmatch(self.name))
        )

    @property
    def is_error(self) -> bool:
        match self.value:
            case bool():
                return self.value
            case str():
                return self.word not in _NO_ERROR
            case list():
                return any(not _is_empty(one) for one in self.value)
            case dict():
                return any(not _is_empty(one) and not (one is False or _is_zero(one)) for one in self.value.values())
        return False


@dataclass(slots=True)
class _Tally:
    """What the keys of one object state together."""

    reason: str | None
    is_good: bool = False
    denied: bool = False
    failure: str | None = None
    inner_failure: str | None = None
    weak_failure: str | None = None
    succeeded: Decimal = Decimal(0)
    failed: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    def add(self, item: _Item) -> None:
        name, word, amount = item.name, item.word, item.amount
        if name in _GOOD_NAMES and word in {"true", "false"}:
            self._state(word == "true", f"{item.key} is false")
            self.denied |= word == "false"
        elif name in _STATUS_NAMES and isinstance(item.value, str) and word is not None:
            if _STATES_FAILURE.fullmatch(word):
                self._fail(f"{item.key} is {word}")
            else:
                self.is_good |= bool(_STATES_SUCCESS.fullmatch(word))
        elif name in _CODE_NAMES or (name == "code" and self.reason is not None):
            if word and re.fullmatch("[45][0-9][0-9]", word):
                self._fail(f"{item.key} is {word}")
            elif word and re.fullmatch("2[0-9][0-9]", word) and name != "code":
                self.is_good = True
        elif name in _ERROR_NAMES and not _is_number(item.value):
            if item.is_error:
                self._fail(f"{item.key} is true" if item.value is True else f"it has {item.key}")
        elif name in _FAILED_NAMES:
            if item.value is True:
                self._fail(f"{item.key} is true")
            self.failed = max(self.failed, amount or Decimal(0))
        elif name in _TOTAL_NAMES:
            self.total = max(self.total, amount or Decimal(0))
        elif (
            amount is not None
            and amount > 0
            and (_SUCCEEDED.fullmatch(name) or (_is_number(item.value) and not _NO_COUNT.search(name)))
        ):
            self.succeeded += amount

    def add_inner(self, item: _Item) -> None:
        inner = outcome(item.value, is_inner=True)
        if inner is None:
            return
        words = f"{item.key}: {inner.words or 'failed'}"
        if inner.is_good:
            self.is_good = True
        elif inner.denied or _OF_THE_RUN.fullmatch(item.name):
            self.inner_failure = self.inner_failure or words
        else:
            # of what is no part of the run a word is data, unless nothing else is said
            self.weak_failure = self.weak_failure or words

    def result(self, said: dict[str, Any]) -> Stated | None:
        if self.failed > 0 and self.succeeded == 0 and self.total <= self.failed:
            self._fail(f"{self.failed:f} failed and none succeeded")
        if self.failure is not None:
            return Stated(False, (self.reason or self.failure)[:_LONGEST_WORDS], self.denied)
        if self.inner_failure is not None:
            return Stated(False, self.inner_failure[:_LONGEST_WORDS])
        counts = said.keys() & {"failed", "failures", "errors", "error", "succeeded", "success"}
        if self.is_good or (self.succeeded > 0 and counts):
            return Stated(True)
        return Stated(False, self.weak_failure[:_LONGEST_WORDS]) if self.weak_failure is not None else None

    def _state(self, is_good: bool, failure: str) -> None:
        if is_good:
            self.is_good = True
        else:
            self._fail(failure)

    def _fail(self, words: str) -> None:
        self.failure = self.failure or words


def _reason(said: dict[str, Any]) -> str | None:
    """Return the words that an answer has for its failure."""
    errors, error, message = said.get("errors"), said.get("error"), said.get("message")
    first = errors[0] if isinstance(errors, list) and errors else errors.get("0") if isinstance(errors, dict) else None
    candidates = (
        _text(error.get("message")) if isinstance(error, dict) else None,
        _text(first.get("message")) if isinstance(first, dict) else None,
        first if isinstance(errors, list) and isinstance(first, str) else None,
        error.strip(" ") if isinstance(error, str) else None,
        message.strip(" ") if isinstance(message, str) else None,
    )
    return next((words for at, words in enumerate(candidates) if words or (words is not None and at == 2)), None)


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | Decimal) and not isinstance(value, bool)


def _is_zero(value: Any) -> bool:
    return _is_number(value) and value == 0


def _is_empty(value: Any) -> bool:
    return value is None or (isinstance(value, str | dict | list) and not value)


def _decimal(text: str) -> Decimal:
    found = Decimal(text)
    if found.adjusted() > _LARGEST_EXPONENT:
        raise ValueError("larger than what a database holds")
    return found


def _refuse(name: str) -> None:
    raise ValueError(name)


# who answered, in the order of autosync.answered_by()

_HEADERS = set(
    "server via content-type sb-error-code x-deno-execution-id cf-mitigated x-cache x-amz-cf-id x-kong-response-latency"
    " x-kong-upstream-latency x-envoy-upstream-service-time x-vercel-error x-vercel-id x-nf-request-id x-github-request-id"
    " x-railway-fallback x-render-routing x-iinfo x-sucuri-id".split()
)
PAGES = {"web page", "vercel", "netlify", "github pages", "heroku", "railway", "render"}


@dataclass(frozen=True, slots=True)
class _Seen:
    """An answer as the rules look at it."""

    status: int
    lines: Mapping[str, str]
    says: str

    @property
    def server(self) -> str | None:
        found = self.lines.get("server")
        return None if found is None else found.lower()

    @property
    def is_error(self) -> bool:
        return self.status >= 400

    @property
    def is_page(self) -> bool:
        kind = self.lines.get("content-type", "").lstrip()
        return bool(
            re.match("text/html|application/xhtml", kind, re.IGNORECASE)
            or re.match(r"(<!--.*?-->\s*)*(<!doctype\s+html|<html[\s>])", self.says, re.IGNORECASE | re.DOTALL)
        )

    def words(self, pattern: str) -> bool:
        """Whether the body has it, in any case of letters."""
        return bool(re.search(pattern, self.says, re.IGNORECASE | re.DOTALL))

    def server_is(self, pattern: str) -> bool:
        return bool(self.server is not None and re.search(pattern, self.server))

    def header(self, name: str, pattern: str = "") -> bool:
        return name in self.lines and bool(re.match(rf"\s*{pattern}", self.lines[name], re.IGNORECASE))


def answered_by(status: int | None, headers: Any, body: str | None) -> str | None:
    """Return who answered, where the answer gives it away."""
    lines = {}
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() in _HEADERS and value is not None:
            lines[name.lower()] = (_text(value) or "")[:200]
    seen = _Seen(status or 0, lines, (body or "")[:4000].strip(" \t\r\n\ufeff"))
    if seen.header("sb-error-code", r"\S"):
        return "platform"
    if seen.header("x-deno-execution-id", r"\S") and not seen.is_page:
        return "function"
    found = (*_networks(seen), *_gateways(seen), *_hosts(seen))
    return found[0] if found else None


def _networks(seen: _Seen) -> Iterator[str]:
    """Content networks, which block as well."""
    if seen.header("cf-mitigated") or (
        seen.is_error
        and (
            seen.words(
                r"attention required! \| cloudflare|cf-error-details|cf-wrapper|sorry, you have been blocked"
                r"|<title>just a moment|^error code: 1[0-9]{3}|<center>cloudflare"
            )
            or (520 <= seen.status <= 530 and (seen.server is None or "cloudflare" in seen.server))
        )
    ):
        yield "cloudflare"
    if not seen.is_error:
        if seen.is_page and seen.words("_incapsula_|imperva"):
            yield "imperva"
        return
    if (
        seen.header("x-cache", "error from cloudfront")
        or seen.words("generated by cloudfront")
        or seen.server_is("^cloudfront$")
    ):
        yield "cloudfront"
    if seen.server_is("^akamai") or seen.words(
        r"errors\.edgesuite\.net|reference\s*&?#?3?5?;?#[0-9]+\.[0-9a-f]+\.[0-9]+"
    ):
        yield "akamai"
    if seen.words("^fastly error|varnish cache server|guru meditation"):
        yield "fastly"
    if (seen.words("_incapsula_|imperva") and seen.is_page) or seen.header("x-iinfo"):
        yield "imperva"
    if seen.server_is("sucuri") or seen.header("x-sucuri-id"):
        yield "sucuri"


def _gateways(seen: _Seen) -> Iterator[str]:
    if not seen.is_error:
        return
    says = seen.says
    if (
        seen.header("x-kong-response-latency")
        or (seen.server_is("^kong") and not seen.header("x-kong-upstream-latency"))
        or seen.words(
            'no route matched with those values|"name resolution failed"|an invalid response was received from the upstream'
            " server|the upstream server is timing out|failure to get a peer from the ring-balancer|no api key found in"
            ' request|"invalid authentication credentials"'
        )
    ):
        yield "kong"
    if re.match(
        "(upstream connect error|upstream request timeout|no healthy upstream|stream timeout|RBAC: access denied|Jwt |Jwks "
        "|filter chain not found)",
        says,
    ) or (seen.server == "envoy" and says == "" and not seen.header("x-envoy-upstream-service-time")):
        yield "envoy"
    if seen.words("<center>(nginx|openresty)"):
        yield "nginx"
    if seen.words("<address>apache|<title>[45][0-9]{2} [a-z ]+</title>.*apache") or (
        seen.server_is("^apache") and seen.is_page
    ):
        yield "apache"
    if seen.words("^(<html><body>)?<h1>[45][0-9]{2} [a-z -]+</h1>") and not seen.words("<center>"):
        yield "haproxy"
    if seen.server_is("^awselb"):
        yield "load balancer"
    if re.fullmatch("404 page not found|Bad Gateway|Gateway Timeout|Service Unavailable|no available server", says):
        yield "traefik"
    if says == "" and seen.server == "caddy":
        yield "caddy"


def _hosts(seen: _Seen) -> Iterator[str]:
    """Hosts of web pages."""
    is_error, is_page, says = seen.is_error, seen.is_page, seen.says
    if (
        seen.header("x-vercel-error")
        or (is_page and (seen.server == "vercel" or seen.header("x-vercel-id")))
        or (is_error and re.search("(DEPLOYMENT_NOT_FOUND|The deployment could not be found on Vercel)", says))
    ):
        yield "vercel"
    if (is_page and (seen.server == "netlify" or seen.header("x-nf-request-id"))) or (
        is_error and says.startswith("Not Found - Request ID:")
    ):
        yield "netlify"
    if is_page and (seen.server == "github.com" or seen.header("x-github-request-id")):
        yield "github pages"
    if is_error and (seen.words(r"herokucdn\.com|no-such-app") or seen.server == "heroku"):
        yield "heroku"
    if seen.header("x-railway-fallback", "true"):
        yield "railway"
    if is_error and seen.header("x-render-routing", "(no-server|suspend)"):
        yield "render"
    if is_page:
        yield "web page"
