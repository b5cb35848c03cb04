"""What an HTTP answer shows of a run, judged outside of the database.

`audit` looks at databases that have none of our functions, and its transaction may not make any. So this says in Python
what autosync.stated_outcome() and answer_facts() say in SQL, where the words are explained (and in
docs/reference/answers.md). tests/jobs/test_answers.py holds the two together, case by case and on JSON at random.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from autosync_db.jobs import bodies

_MOST = 200  # keys or items of one level
_ACCENTS = str.maketrans("áàâãäåéèêëíìîïóòôõöúùûüçñ", "aaaaaaeeeeiiiiooooouuuucn")

_ENGLISH_GOOD_NAMES = {"ok", "isok", "success", "issuccess", "issuccessful", "successful", "succeeded"}
_GOOD_NAMES = _ENGLISH_GOOD_NAMES | {
    "sucesso",
    "exito",
    "succes",
    "successo",
    "erfolg",
    "erfolgreich",
    "успех",
    "успешно",
}
_STATUS_NAMES = {"status", "state", "result", "outcome", "runstatus", "statut", "estado", "stato"} | {
    "статус",
    "состояние",
    "результат",
}
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
    "ошибка",
    "ошибки",
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
_WHOLE_NAMES = {"total", "processed", "attempted", "claimed", "tried", "due"}
_TOTAL_NAMES = _WHOLE_NAMES | {"count", "items", "rows", "jobs"}
_NO_ERROR = {"", "0", "none", "null", "no", "false", "ok", "n/a", "no error", "no errors", "success"}
_STATES_FAILURE = re.compile(
    r"(error|errored|errors|fail|fails|failed|failure|fatal|exception|crashed|aborted|rejected|unsuccessful"
    r"|time[d]?[ _-]?out|unhealthy|ko|nok|not ok|(internal|server|internal server)[ _-]error|erro|falha|falhou|fallo"
    r"|fallido|erreur|echec|fehler|fehlgeschlagen|errore|fallito|ошибка|сбой|неудача"
    r"|не удалось|(error|fail|failed|failure|fatal|exception)"
    r" *[:(].*)",
    re.DOTALL,
)
# of one among many it is what was found
_REFUSALS = {
    "denied",
    "access denied",
    "permission denied",
    "unauthorized",
    "unauthorised",
    "unauthenticated",
    "forbidden",
    "down",
}
_STATES_SUCCESS = re.compile(
    r"(ok|okay|success|succeeded|successful|done|complete|completed|finished|fulfilled|passed|healthy|sucesso|exito"
    r"|succes|successo|erfolg|erfolgreich|успех|успешно|готово|выполнено)"
)
# a run that ends before its work does, to go on later, is none that failed
_GOES_ON = re.compile("next|cursor|more|remain|continu|progress|pending|page|offset", re.IGNORECASE)
_NOTHING_TO_DO = re.compile(r"\b(nothing|no|skip|skipped|already|continu\w*)\b", re.IGNORECASE)
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
    r"|pending|next|batch|port|pid|refused|lost|code|bounce|reject|drop|invalid|undeliver|error|fail"
)
_LISTS_OF_RUNS = re.compile(r"(results?|runs|jobs|syncs|steps|tasks|outcomes|responses)")
_MAPS_OF_RUNS = re.compile(r"(results|runs|jobs|syncs|steps|tasks|outcomes|responses)")
_OF_THE_RUN = re.compile(
    r"(results?|response|body|output|payload|summary|counts|stats|statistics|run|runs|job|jobs|sync|syncs|report|outcomes?)"
)
_LIKE_A_RUN = re.compile(
    r"^data$|(result|response|output|summary|counts|stat|statistic|run|job|sync|report|outcome|import|export|task|step"
    r"|batch|process)s?$"
)
_OF_THE_PAST = re.compile("last|prev|prior|former|earlier|old")
_OPEN = {"result", "results", "data"}
_FURTHER = re.compile("(results?|data|outcomes?|summary|counts|stats|statistics)")
_NEVER_INNER = {"error", "errors", "exception", "exceptions", "failures", "failed"}


@dataclass(frozen=True, slots=True)
class Stated:
    """What a JSON answer states of its own run.

    `denied`: it says in so many words that it did not succeed; `has_error`: it has an error, beside counts or a word.
    """

    is_good: bool
    denied: bool = False
    has_error: bool = False


def stated(body: str, *, is_cut: bool = False) -> tuple[bool, Stated | None]:
    """Return whether a body is JSON that can be read, and what that states; `is_cut`: it is the beginning of one."""
    read = bodies.read(body, is_cut=is_cut)
    found = outcome(read.said)
    if read.start is not None:
        # what it counts further on is not known
        found = outcome({"succeeded": 1, **read.start})
        found = None if found is None or found.is_good else found
    return read.is_json, Stated(False) if read.names_error else found


def outcome(said: Any, level: int = 0) -> Stated | None:
    """Return what JSON states of its run, None where it states nothing.

    `level` is how far down it stands: 2 where nothing further down is read.
    """
    if isinstance(said, list):
        return _of_list(said)
    if not isinstance(said, dict):
        return None
    if level == 0 and isinstance(said.get("ok"), bool) and _is_number(said.get("duration_ms")):
        return Stated(said["ok"])
    reason = _reason(said)
    if reason and said.keys() >= {"code", "message", "details", "hint"} and said["code"] not in (None, ""):
        # an error of PostgreSQL or PostgREST as the client library gives it
        return Stated(False, denied=True)
    items = [_Item(key, value) for key, value in sorted(said.items())][:_MOST]
    tally = _Tally(said, reason, level)
    for item in items:
        tally.add(item)
        if item.may_state and (level == 0 or (level == 1 and _FURTHER.fullmatch(item.name))):
            tally.add_inner(item)
    return tally.result(len(items))


def _of_list(said: list[Any]) -> Stated | None:
    """A list of runs failed when each of them did; of a long one both ends are read."""
    ends = said if len(said) <= _MOST else said[: _MOST // 2] + said[-_MOST // 2 :]
    inner = (outcome(one, 2) if isinstance(one, dict) else None for one in ends)
    return Stated(False) if ends and all(one is not None and not one.is_good for one in inner) else None


@dataclass(slots=True)
class _Item:
    """A key with its value."""

    key: str
    value: Any

    @property
    def name(self) -> str:
        return "".join(letter for letter in self.key if letter.isalpha()).lower().translate(_ACCENTS)

    @property
    def word(self) -> str | None:
        """The value as a word, as PostgreSQL writes it."""
        match self.value:
            case None:
                return None
            case bool():
                return "true" if self.value else "false"
            case str():
                return self.value.strip(" ").lower().translate(_ACCENTS)
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
            case list() | dict():
                return any(
                    not (_is_empty(one) or one is False or _is_zero(one))
                    and not (isinstance(one, str) and one.strip(" ").lower() in _NO_ERROR)
                    for one in (self.value if isinstance(self.value, list) else self.value.values())
                )
        return False


@dataclass(slots=True)
class _Tally:
    """What the keys of one object state together."""

    said: dict[str, Any]
    reason: str | None
    level: int
    is_good: bool = False
    is_bad: bool = False
    denied: bool = False
    is_inner_bad: bool = False
    is_data_bad: bool = False
    # under names that say nothing of the run; they count where the answer is nothing else
    strays: int = 0
    has_error: bool = False
    is_listed: bool = False
    succeeded: Decimal = Decimal(0)
    # what other numbers may say of it; where the answer counts its successes, nothing
    done: Decimal = Decimal(0)
    others: Decimal = Decimal(0)
    is_counted: bool = False
    failed: Decimal = Decimal(0)
    total: Decimal = Decimal(0)
    # of what was done or tried, and not of something beside it
    whole: Decimal = Decimal(0)

    def add(self, item: _Item) -> None:
        name, word, amount = item.name, item.word, item.amount
        if name in _GOOD_NAMES and word in {"true", "false", "yes", "no"}:
            is_denied = word in {"false", "no"}
            self.is_good |= not is_denied
            self.denied |= is_denied
            self.is_bad |= is_denied
        elif name in {"passed", "completed"} and isinstance(item.value, bool):
            self.is_bad |= item.value is False and (name == "passed" or self._gave_up)
        elif name in _STATUS_NAMES and isinstance(item.value, str) and word is not None:
            self.is_bad |= bool(_STATES_FAILURE.fullmatch(word)) or (self.level < 2 and word in _REFUSALS)
            self.is_good |= bool(_STATES_SUCCESS.fullmatch(word))
        elif name in _CODE_NAMES or (name == "code" and self.reason):
            self.is_bad |= bool(word and re.fullmatch("[45][0-9][0-9]", word))
            self.is_good |= bool(word and re.fullmatch("2[0-9][0-9]", word) and name != "code")
            if name == "code" and _is_number(item.value) and not re.fullmatch("0|2[0-9][0-9]", str(word)):
                # any other number is a failure where the words beside it say so
                self.is_bad |= bool(_SAYS_FAILURE.search(self.reason or ""))
        elif name in _NUMBERED_ERRORS and _is_number(item.value):
            self._add_error(item.value not in (0, 200))
        elif name in _TRACES and isinstance(item.value, str):
            self._add_error(bool(re.search(r"\n *at [a-z]|^traceback \(most recent", str(word))))
        elif name == "type" and self.level < 2 and self.reason:
            self.is_bad |= word in {"error", "exception", "failure", "fatal"}
        elif name in _ERROR_NAMES and not _is_number(item.value):
            if name in _LISTS_OF_ERRORS and isinstance(item.value, list | dict):
                # a list may be of those few that failed
                self.is_listed |= item.is_error
                self.has_error |= item.is_error
            else:
                self._add_error(item.is_error)
        elif name in _FAILED_NAMES:
            self.is_bad |= item.value is True
            self.failed = max(self.failed, amount or Decimal(0))
        elif name in _TOTAL_NAMES:
            self.total = max(self.total, amount or Decimal(0))
            if name in _WHOLE_NAMES:
                self.whole = max(self.whole, amount or Decimal(0))
        elif amount is not None and amount >= 0 and _SUCCEEDED.fullmatch(name):
            self.is_counted = True
            self.succeeded += amount
        elif amount is not None and amount > 0:
            if _DONE.fullmatch(name):
                self.done += amount
            elif _is_number(item.value) and not _NO_COUNT.search(name):
                self.others += amount

    @property
    def _gave_up(self) -> bool:
        """Whether it says why its work is not complete, and nothing of going on."""
        reason = self.said.get("reason")
        text = reason if isinstance(reason, str) else json.dumps(reason, default=str)
        return not (reason is None or _NOTHING_TO_DO.search(text) or any(map(_GOES_ON.search, self.said)))

    def _add_error(self, is_error: bool) -> None:
        self.is_bad |= is_error
        self.has_error |= is_error

    def add_inner(self, item: _Item) -> None:
        inner = outcome(item.value, 1 if self.level == 0 and item.name in _OPEN else 2)
        if inner is None and isinstance(item.value, dict) and _MAPS_OF_RUNS.fullmatch(item.name):
            # runs by the names of what they were for
            inner = outcome(list(item.value.values()), 2)
        if inner is None:
            return
        if inner.is_good:
            self.is_good = True
        elif inner.denied or _OF_THE_RUN.fullmatch(item.name):
            self.is_inner_bad = True
        elif _OF_THE_PAST.match(item.name):
            return
        elif _LIKE_A_RUN.search(item.name):
            # of what is no part of the run a word is data, unless nothing else is said
            self.is_data_bad = True
        elif inner.has_error:
            self.strays += 1

    def result(self, looked_at: int) -> Stated | None:
        # where all that was tried failed, another number is of something else
        others = Decimal(0) if 0 < self.failed == self.whole else self.others
        succeeded = self.succeeded if self.is_counted else self.done + others
        all_failed = succeeded == 0 and self.total <= self.failed
        if self.is_bad or (self.failed > 0 and all_failed) or (self.is_listed and (self.failed == 0 or all_failed)):
            return Stated(False, self.denied, self.has_error)
        if self.is_inner_bad:
            return Stated(False)
        counts = {"failed", "failures", "errors", "error", "succeeded", "success"} & self.said.keys()
        if self.is_good or (succeeded > 0 and counts):
            return Stated(True)
        return Stated(False) if self.is_data_bad or 0 < self.strays == looked_at else None


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
