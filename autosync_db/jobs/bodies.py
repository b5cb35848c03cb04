"""The JSON of a body, read outside of the database as autosync.answer_facts() reads it there.

What jsonb does not hold is left out: the character 0, halves of pairs of surrogates, NaN, numbers without end,
control characters in texts.
"""

import json
import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

LONGEST = 100_000  # bytes of a body that are read
_MOST_OF_A_START = 4000
_BLANK = " \t\r\n\ufeff"
# of PostgreSQL's numeric: digits before the point, and after it
_LARGEST_EXPONENT, _SMALLEST_EXPONENT = 131_071, -16_383
_KNOWN = re.compile(r'[{\[]|"[ \t\r\n]*[{\[]|(event|data|id|retry)?:')
# a text that is nothing but an error: its name before a colon, a trace, the usual words for a status, a fault in XML
_ERROR_TEXT = re.compile(
    r"((uncaught|unhandled) )?(php )?([a-z_.]*(error|exception)|(fatal|parse) error|fatal|panic): +"
    r"(?!(0|none|null|no|false|ok|n/a|no errors?)[ \t]*($|[,;.|\r\n]))[^ \t\r\n]"
    r"|(internal server error|bad gateway|service unavailable|gateway time-?out|unauthori[sz]ed|forbidden|error|failed"
    r"|failure|timeout)[.!]?[ \t\r\n]*$|traceback \(most recent call last\)"
    r"|(<\?xml[^>]*>[ \t\r\n]*)?<([a-z0-9_-]+:)?((fault|error|errors)[ />]"
    r"|envelope[ />].*<([a-z0-9_-]+:)?fault[ />])",
    re.IGNORECASE | re.ASCII | re.DOTALL,
)
_ERROR_EVENT = re.compile(r"^event: *(error|exception|failed|failure)[ \r]*$", re.IGNORECASE | re.MULTILINE)
_EVENT_OF_JSON = re.compile(r"^data: *(\{|\[[^D\n])", re.MULTILINE)
_DATA = re.compile("^data: *(.*)$", re.MULTILINE)
_ZERO = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
_UNHELD = re.compile(r"\\u(0000|d[89a-f][0-9a-f]{2})", re.IGNORECASE)
_NO_NUMBER = re.compile(r"([:,\[] *)(NaN|-?Infinity|-?[0-9][0-9.]*[eE][+-]?[0-9]{5,})")
_TEXT = r'"(?:[^"\\]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*"'
_NUMBER = r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][-+]?[0-9]+)?"
_START = re.compile(rf"\{{(?: *{_TEXT} *: *(?:{_TEXT}|{_NUMBER}|true|false|null) *,)+")


@dataclass(frozen=True, slots=True)
class Body:
    """What a body says in JSON; of what cannot be read to its end the `start`: what stands before a list or object."""

    is_json: bool = False
    said: Any = None
    start: dict[str, Any] | None = None
    names_error: bool = False


def read(body: str, *, is_cut: bool) -> Body:
    """Return what a body says; `is_cut`: it is the beginning of one that is too long."""
    is_whole = not is_cut and len(body.encode("utf-8", "replace")) <= LONGEST
    text = (body if is_whole else body[:_MOST_OF_A_START]).lstrip(_BLANK)
    names_error = False
    if not _KNOWN.match(text):
        return Body(names_error=_ERROR_TEXT.match(text[:_MOST_OF_A_START]) is not None)
    try:
        if text[0] not in '{["':
            if not is_whole:
                return Body()
            text, names_error = _last_event(text)
        elif text[0] == '"':
            # JSON that was made a text of JSON
            text = str(_parsed(text)).lstrip(_BLANK)
        elif re.match(r"\{.*\n[ \t\r]*\{", text, re.DOTALL) and not re.search(r"\n[ \t\r]*[^{ \t\r\n]", text):
            # of objects on lines of their own the last says how it ended
            text = text.rstrip(" \t\r\n").rpartition("\n")[2]
        return _read(text, is_whole, names_error)
    except (ValueError, RecursionError):
        return Body(names_error=names_error)


def _read(text: str, is_whole: bool, names_error: bool) -> Body:
    if text[:1] not in ("{", "["):
        return Body(names_error=names_error)
    repaired = _repaired(text)
    for attempt in (text, repaired) if is_whole else ():
        try:
            return Body(True, _parsed(attempt), names_error=names_error)
        except (ValueError, RecursionError):
            continue
    start = _START.match(repaired[:_MOST_OF_A_START])
    return Body(start=_parsed(start[0].rstrip(",") + "}") if start else None, names_error=names_error)


def _last_event(text: str) -> tuple[str, bool]:
    """Of events the last counts that is JSON or names itself an error."""
    for event in reversed(re.split(r"\r?\n\r?\n", text)):
        names_error = bool(_ERROR_EVENT.search(event))
        if names_error or _EVENT_OF_JSON.search(event):
            return " ".join(_DATA.findall(event)), names_error
    return "", False


def _repaired(text: str) -> str:
    # each \u begins an escape when no backslash stands for itself
    text = _UNHELD.sub("?", text.replace("\\\\", "\\u005c"))
    return _NO_NUMBER.sub(r"\1null", re.sub("[\x01-\x1f]", " ", text))


def _parsed(text: str) -> Any:
    """Return JSON as jsonb takes it; a ValueError or RecursionError where it does not."""
    said = json.loads(text, parse_float=_decimal, parse_int=_decimal, parse_constant=_refuse)
    # what JSON allows and a database does not hold: half a pair of surrogates, and the character 0
    json.dumps(said, default=str, ensure_ascii=False).encode()
    if _ZERO.search(text):
        raise ValueError("the character 0")
    return said


def _decimal(text: str) -> Decimal:
    try:
        found = Decimal(text)
    except InvalidOperation:
        raise ValueError(text) from None
    exponent = found.as_tuple().exponent
    if found.adjusted() > _LARGEST_EXPONENT or not isinstance(exponent, int) or exponent < _SMALLEST_EXPONENT:
        raise ValueError("more digits than a database holds")
    return found


def _refuse(name: str) -> None:
    raise ValueError(name)
