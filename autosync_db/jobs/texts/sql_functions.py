"""What operators, casts and functions of PostgreSQL make of values that are known before a text runs."""

import re
from collections.abc import Iterable
from decimal import Decimal

from autosync_db.jobs.texts.sql_values import Moment, Text, Untranslatable, Value, as_text, literal_of, number

UNCHANGED = {"trim", "btrim", "rtrim", "ltrim", "to_json", "to_jsonb", "text"}
CLOCKS = {"now", "clock_timestamp", "statement_timestamp", "transaction_timestamp", "timeofday"}
# of numbers, whether they are whole ones
NUMBERS = {"int2": True, "int4": True, "int8": True, "numeric": False, "float4": False, "float8": False}
TIMES = {"date", "time", "timetz", "timestamp", "timestamptz", "interval"}
CALCULATES_TIME = (
    "it calculates a time when it runs, which settings cannot say; let the function calculate it, or leave the job as"
    " it is"
)


_PIECES = re.compile(r"(%(?:%|(?:\d+\$)?[sIL]))")


def reason(values: Iterable[Value], otherwise: str) -> str:
    """Return why what is made of values is not known: the time of the call may be among them."""
    return CALCULATES_TIME if _has_moment(values) else otherwise


def _has_moment(values: Iterable[Value]) -> bool:
    return any(isinstance(one, Text) and one.has_moment for one in values)


def picked(container: Value, key: Value, *, as_plain_text: bool) -> Value:
    """Return what an object of JSON has under a key. Raises Untranslatable, as all here do."""
    if isinstance(container, dict) and isinstance(key, Text) and key.literal in container:
        found = container[key.literal]
        return as_text(found) if as_plain_text and found is not None else found
    raise Untranslatable("it reads a value from JSON")


def coalesced(values: list[Value]) -> Value:
    """Return the one that is not empty; of several it is not known which it will be."""
    filled = [one for one in values if one is not None and one != Text()]
    if len(filled) == 1:
        return filled[0]
    raise Untranslatable("it has a second value for when the first is null")


def as_number(found: Value, target: str, *, has_scale: bool) -> Value:
    """Return a value as a number of a type."""
    value = number(literal_of(found, "number").strip()) if isinstance(found, Text) else found
    if has_scale or (NUMBERS[target] and isinstance(value, Decimal) and value % 1):
        raise Untranslatable("it rounds a number")
    return int(value) if NUMBERS[target] and isinstance(value, Decimal) else value


def is_same_as(found: Value, target: str) -> bool:
    """Return whether a value is the same as one of a type of times: the time of the call, or a date that is written."""
    if not isinstance(found, Text):
        return False
    if target == "date":
        return re.fullmatch(r"\d{4}-\d\d-\d\d", found.literal or "") is not None
    return found.parts == (Moment(),) and target.startswith("timestamp")


def trimmed(name: str, values: list[Value]) -> Value:
    """Return a value without what the function of that name takes off; of what is read from elsewhere nothing."""
    found = values[0]
    if "trim" in name and isinstance(found, Text) and (written := found.literal) is not None:
        characters = literal_of(values[1], "trimmed character") if len(values) > 1 else " "
        strip = {"rtrim": written.rstrip, "ltrim": written.lstrip}.get(name, written.strip)
        return Text((strip(characters),)) if strip(characters) else Text()
    return found


def joined(values: Iterable[Value]) -> Text:
    """Return what concat() makes."""
    made = Text()
    for value in values:
        made += _shown(value)
    return made


def formatted(pattern: str, values: list[Value]) -> Text:
    """Return what format() makes."""
    made, following = Text(), iter(values)
    for at, piece in enumerate(_PIECES.split(pattern)):
        if at % 2 == 0:
            if "%" in piece:
                raise Untranslatable("it formats a value to a width")
            made += Text((piece,)) if piece else Text()
        elif piece == "%%":
            made += Text(("%",))
        elif piece.endswith(("L", "I")):
            raise Untranslatable(f"it writes a value as SQL does ({piece} of format)")
        elif position := re.match(r"%(\d+)\$", piece):
            if not 0 < int(position[1]) <= len(values):
                raise Untranslatable("it formats a value that is not there")
            following = iter(values[int(position[1]) :])
            made += _shown(values[int(position[1]) - 1])
        else:
            made += _shown(next(following, None))
    return made


def _shown(value: Value) -> Text:
    return Text() if value is None else as_text(value)
