"""What an HTTP answer shows of a run, judged outside of the database.

`audit` looks at databases that have none of our functions, and its transaction may not make any. So this says in Python
what autosync.stated_outcome() and answer_facts() say in SQL, where the words are explained (and in
docs/reference/answers.md). tests/jobs/test_answers.py holds the two together, case by case and on JSON at random.
"""

import json
import re
from collections.abc import Collection
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

LONGEST = 100_000  # bytes of a body that are read
_MOST = 200  # keys or items of one level
_LARGEST_EXPONENT = 131_071  # of PostgreSQL's numeric
_ZERO = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")

_ENGLISH_GOOD_NAMES = {"ok", "isok", "success", "issuccess", "issuccessful", "successful", "succeeded"}
_GOOD_NAMES = _ENGLISH_GOOD_NAMES | {"sucesso", "exito", "succes", "successo", "erfolg", "erfolgreich"}
_STATUS_NAMES = {"status", "state", "result", "outcome", "runstatus", "statut", "estado", "stato"}
_CODE_NAMES = {"status", "statuscode", "httpstatus", "httpcode"}
_ERROR_NAMES = {
    "error",
    "err",
    "exception",
    "errormessage",
    "errormsg",
    "errordescription",
    "errordetails",
    "errortype",
    "errorcode",
    "errors",
    "exceptions",
    "failure",
    "failurereason",
    "errmsg",
    "iserror",
    "haserror",
    "haserrors",
    "hasfailed",
    "hasfailures",
    "erro",
    "erros",
    "erreur",
    "erreurs",
    "fehler",
    "fehlermeldung",
    "errore",
    "errori",
    "errores",
}
_LISTS_OF_ERRORS = {"errors", "exceptions"}
_NUMBERED_ERRORS = {"errcode", "errorcode", "errno"}
_TRACES = {"stack", "stacktrace", "traceback", "backtrace", "trace"}
_FAILED_NAMES = {
    "failed",
    "failures",
    "failedcount",
    "failurecount",
    "failcount",
    "numfailed",
    "totalfailed",
    "errored",
    "error",
    "errors",
    "errorcount",
    "errorscount",
    "numerrors",
    "totalerrors",
    "exceptions",
}
_TOTAL_NAMES = {"total", "count", "processed", "attempted", "claimed", "tried", "due", "items", "rows", "jobs"}
_NO_ERROR = {"", "0", "none", "null", "no", "false", "ok", "n/a", "no error", "no errors", "success"}
_STATES_FAILURE = re.compile(
    r"(error|errored|errors|fail|fails|failed|failure|fatal|exception|crashed|aborted|rejected|unsuccessful"
    r"|time[d]?[ _-]?out|unhealthy|ko|nok|not ok|(internal|server|internal server)[ _-]error|erro|falha|falhou|fallo"
    r"|fallido|erreur|échec|echec|fehler|fehlgeschlagen|errore|fallito|(error|fail|failed|failure|fatal|exception)"
    r" *[:(].*)",
    re.DOTALL,
)
_STATES_SUCCESS = re.compile(
    r"(ok|okay|success|succeeded|successful|done|complete|completed|finished|fulfilled|passed|healthy)"
)
_SAYS_FAILURE = re.compile(
    r"\b(error|fail(ed|ure|s)?|invalid|denied|refused|timed ?out|timeout|unauthorized|forbidden|exception|exceeded"
    r"|unable|cannot|could not)\b|失败|错误|异常",
    re.IGNORECASE,
)
_SUCCEEDED = re.compile(r"(succeeded|success|successes|successful)(count|s)?")
_DONE = re.compile(
    r"(ok|sent|synced|completed|done|imported|exported|created|inserted|updated"
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
    denied: bool = False


def stated(body: str) -> tuple[bool, Stated | None]:
    """Return whether a body is JSON that can be read, and what that states."""
    if len(body.encode("utf-8", "replace")) > LONGEST:
        return False, None
    body = body.lstrip(" \t\r\n\ufeff")
    if body[:1] not in ("{", "["):
        return False, None
    if re.match(r"\{.*\n[ \t\r]*\{", body, re.DOTALL) and not re.search(r"\n[ \t\r]*[^{ \t\r\n]", body):
        # of objects on lines of their own the last says how it ended
        body = body.rstrip(" \t\r\n").rpartition("\n")[2]
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
    if not is_inner and isinstance(said.get("ok"), bool) and _is_number(said.get("duration_ms")):
        return Stated(said["ok"])
    reason = _reason(said)
    if reason and said.keys() >= {"code", "message", "details", "hint"} and said["code"] not in (None, ""):
        # an error of PostgreSQL or PostgREST as the client library gives it
        return Stated(False, denied=True)
    items = [_Item(key, value) for key, value in sorted(said.items())][:_MOST]
    tally = _Tally(reason)
    for item in items:
        tally.add(item)
        if not is_inner and item.may_state:
            tally.add_inner(item)
    return tally.result(said.keys())


def _of_list(said: list[Any]) -> Stated | None:
    """A list of runs failed when each of them did."""
    if not 1 <= len(said) <= _MOST:
        return None
    inner = [outcome(one, is_inner=True) if isinstance(one, dict) else None for one in said]
    return Stated(False) if all(one is not None and not one.is_good for one in inner) else None


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
                return any(
                    not (_is_empty(one) or one is False or _is_zero(one))
                    and not (isinstance(one, str) and one.strip(" ").lower() in _NO_ERROR)
                    for one in self.value.values()
                )
        return False


@dataclass(slots=True)
class _Tally:
    """What the keys of one object state together."""

    reason: str | None
    is_good: bool = False
    is_bad: bool = False
    denied: bool = False
    is_inner_bad: bool = False
    is_data_bad: bool = False
    is_listed: bool = False
    succeeded: Decimal = Decimal(0)
    # what other numbers may say of it; where the answer counts its successes, nothing
    done: Decimal = Decimal(0)
    is_counted: bool = False
    failed: Decimal = Decimal(0)
    total: Decimal = Decimal(0)

    def add(self, item: _Item) -> None:
        name, word, amount = item.name, item.word, item.amount
        if name in _GOOD_NAMES and word in {"true", "false", "yes", "no"}:
            is_denied = word in {"false", "no"}
            self.is_good |= not is_denied
            self.denied |= is_denied
            self.is_bad |= is_denied
        elif name in _STATUS_NAMES and isinstance(item.value, str) and word is not None:
            self.is_bad |= bool(_STATES_FAILURE.fullmatch(word))
            self.is_good |= bool(_STATES_SUCCESS.fullmatch(word))
        elif name in _CODE_NAMES or (name == "code" and self.reason):
            self.is_bad |= bool(word and re.fullmatch("[45][0-9][0-9]", word))
            self.is_good |= bool(word and re.fullmatch("2[0-9][0-9]", word) and name != "code")
            if name == "code" and _is_number(item.value) and not re.fullmatch("0|2[0-9][0-9]", str(word)):
                # any other number is a failure where the words beside it say so
                self.is_bad |= bool(_SAYS_FAILURE.search(self.reason or ""))
        elif name in _NUMBERED_ERRORS and _is_number(item.value):
            self.is_bad |= item.value not in (0, 200)
        elif name in _TRACES and isinstance(item.value, str):
            self.is_bad |= bool(re.search(r"\n *at [a-z]|^traceback \(most recent", str(word)))
        elif name in _ERROR_NAMES and not _is_number(item.value):
            if name in _LISTS_OF_ERRORS and isinstance(item.value, list | dict):
                # a list may be of those few that failed
                self.is_listed |= item.is_error
            else:
                self.is_bad |= item.is_error
        elif name in _FAILED_NAMES:
            self.is_bad |= item.value is True
            self.failed = max(self.failed, amount or Decimal(0))
        elif name in _TOTAL_NAMES:
            self.total = max(self.total, amount or Decimal(0))
        elif amount is not None and amount >= 0 and _SUCCEEDED.fullmatch(name):
            self.is_counted = True
            self.succeeded += amount
        elif (
            amount is not None
            and amount > 0
            and (_DONE.fullmatch(name) or (_is_number(item.value) and not _NO_COUNT.search(name)))
        ):
            self.done += amount

    def add_inner(self, item: _Item) -> None:
        inner = outcome(item.value, is_inner=True)
        if inner is None:
            return
        if inner.is_good:
            self.is_good = True
        elif inner.denied or _OF_THE_RUN.fullmatch(item.name):
            self.is_inner_bad = True
        else:
            # of what is no part of the run a word is data, unless nothing else is said
            self.is_data_bad = True

    def result(self, names: Collection[str]) -> Stated | None:
        succeeded = self.succeeded if self.is_counted else self.done
        all_failed = succeeded == 0 and self.total <= self.failed
        if self.is_bad or (self.failed > 0 and all_failed) or (self.is_listed and (self.failed == 0 or all_failed)):
            return Stated(False, self.denied)
        if self.is_inner_bad:
            return Stated(False)
        counts = {"failed", "failures", "errors", "error", "succeeded", "success"} & set(names)
        if self.is_good or (succeeded > 0 and counts):
            return Stated(True)
        return Stated(False) if self.is_data_bad else None


def _reason(said: dict[str, Any]) -> str | None:
    """Return the words that an answer has for a failure."""
    errors, error = said.get("errors"), said.get("error")
    first = errors[0] if isinstance(errors, list) and errors else errors.get("0") if isinstance(errors, dict) else None
    for one in (error, first):
        if isinstance(one, dict) and one.get("message") not in (None, ""):
            return str(one["message"])
    if isinstance(errors, list) and isinstance(first, str):
        return first
    found = (said.get(name) for name in ("error", "message", "msg", "detail"))
    return next((one.strip(" ") for one in found if isinstance(one, str) and one.strip(" ")), None)


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
