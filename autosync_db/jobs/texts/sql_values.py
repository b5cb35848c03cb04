"""What is known of a value in SQL before it runs: a text in pieces, JSON of such texts, where secrets come from."""

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal


class Untranslatable(Exception):  # noqa: N818 - it is a result, caught where the text is judged
    """Why a text cannot be said in settings; never quotes a value of it."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value is read from: a secret of the vault, a row of a table, or a setting of the server.

    `must_be_there`: where it is not, SQL gives no null but raises.
    """

    kind: Literal["vault", "table", "setting"]
    name: str
    table: str = ""
    column: str = ""
    conditions: tuple[tuple[str, str], ...] = ()
    path: tuple[str, ...] | None = None  # of what is read, within JSON
    must_be_there: bool = field(default=False, compare=False)

    def __str__(self) -> str:
        match self.kind:
            case "vault":
                return f"the vault's {self.name}" if not self.conditions else f"the vault's secret {self.name}"
            case "setting":
                return f"the setting {self.name}"
        return f"{self.table} ({self.name})"


@dataclass(frozen=True, slots=True)
class Moment:
    """The time of the call."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text in pieces: what is written in it, what is read from elsewhere, and the time of the call."""

    parts: tuple[str | Origin | Moment, ...] = ()

    @property
    def literal(self) -> str | None:
        """The text where all of it is written, else None."""
        return "".join(map(str, self.parts)) if all(isinstance(part, str) for part in self.parts) else None

    @property
    def has_moment(self) -> bool:
        """Whether it holds the time of the call."""
        return any(isinstance(part, Moment) for part in self.parts)

    def __add__(self, other: "Text") -> "Text":
        parts: list[str | Origin | Moment] = []
        for part in (*self.parts, *other.parts):
            if isinstance(part, str) and parts and isinstance(parts[-1], str):
                parts[-1] += part
            elif part != "":
                parts.append(part)
        return Text(tuple(parts))


# None, bool, int, Decimal, Text, and dicts and lists of them
Value = Any


def number(text: str) -> int | Decimal:
    """Return the number that a text is, with all its digits. Raises Untranslatable."""
    try:
        found = Decimal(text) if re.search("[.eE]", text) and "x" not in text.lower() else int(text, 0)
        if isinstance(found, int) or found.is_finite():
            return found
    except (ValueError, InvalidOperation):
        pass
    raise Untranslatable("a number in it is known only when it runs")


def literal_of(value: Value, what: str) -> str:
    """Return a text that is written out. Raises Untranslatable naming `what` it is."""
    if isinstance(value, Text) and (found := value.literal) is not None:
        return found
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _digits(value)
    raise Untranslatable(f"its {what} is known only when it runs")


def as_text(value: Value) -> Text:
    """Return a value as text, as SQL would show it. Raises Untranslatable for null: SQL's whole text is null then."""
    match value:
        case Text():
            return value
        case bool():
            return Text(("true" if value else "false",))
        case int() | Decimal():
            return Text((_digits(value),))
        case dict() | list():
            return _as_json_text(value)
    raise Untranslatable("a part of it is null")


def _digits(value: int | Decimal) -> str:
    """Return a number as SQL shows it, never with an exponent."""
    return f"{value:f}" if isinstance(value, Decimal) else str(value)


def parse_json(text: Text) -> Value:
    """Return the JSON that a text is, with its unwritten parts within strings. Raises Untranslatable."""
    unwritten = [part for part in text.parts if not isinstance(part, str)]
    # private characters stand for the parts that are not written
    numbered = iter(range(len(unwritten)))
    written = "".join(part if isinstance(part, str) else f"\ue000{next(numbered)}\ue001" for part in text.parts)
    try:
        read: Any = json.loads(written, parse_int=number, parse_float=number, parse_constant=_no_number)
        return _with_parts(read, unwritten)
    except (ValueError, RecursionError):
        raise Untranslatable("it makes JSON of a text that is none before it runs") from None


def _no_number(name: str) -> Value:
    raise ValueError(f"JSON has no {name}")


def _with_parts(value: Any, unwritten: list[Origin | Moment]) -> Value:
    match value:
        case str():
            pieces = re.split("\ue000(\\d+)\ue001", value)
            parts = [piece if at % 2 == 0 else unwritten[int(piece)] for at, piece in enumerate(pieces)]
            return Text(tuple(part for part in parts if part != ""))
        case dict():
            return {key: _with_parts(inner, unwritten) for key, inner in value.items()}
        case list():
            return [_with_parts(inner, unwritten) for inner in value]
    return value


def _as_json_text(value: Value) -> Text:
    match value:
        case Text():
            escaped = (
                json.dumps(part, ensure_ascii=False)[1:-1] if isinstance(part, str) else part for part in value.parts
            )
            return Text(('"',)) + Text(tuple(escaped)) + Text(('"',))
        case dict():
            made = Text(("{",))
            for at, (key, inner) in enumerate(value.items()):
                made += Text((f"{', ' if at else ''}{json.dumps(key, ensure_ascii=False)}: ",)) + _as_json_text(inner)
            return made + Text(("}",))
        case list():
            made = Text(("[",))
            for at, inner in enumerate(value):
                made += Text((", " if at else "",)) + _as_json_text(inner)
            return made + Text(("]",))
        case Decimal():
            return Text((_digits(value),))
    return Text((json.dumps(value),))
