"""The string constants of a text of SQL: where they stand, what they are, and which of them pg_net takes as JSON."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_TOKEN = re.compile(
    r"(?P<blank>\s+|--[^\n]*|/\*.*?\*/)"
    r"|(?P<dollar>\$(?P<tag>(?:[A-Za-z_]\w*)?)\$(?P<body>.*?)\$(?P=tag)\$)"
    r"|(?P<escaped>[eE]'(?:[^'\\]|\\.|'')*')|(?P<odd>(?:[uU]&|[bBxX])'(?:[^']|'')*')|[nN]?(?P<plain>'(?:[^']|'')*')"
    r"|(?P<name>\"(?:[^\"]|\"\")*\"|[A-Za-z_\x80-\U0010ffff][\w$]*)"
    r"|(?P<sign>\|\||:=|=>|::|.)",
    re.DOTALL,
)
_ESCAPE = re.compile(
    r"\\(?:(?P<octal>[0-7]{1,3})|x(?P<hex>[0-9a-fA-F]{1,2})|u(?P<short>[0-9a-fA-F]{4})|U(?P<long>[0-9a-fA-F]{8})"
    r"|(?P<other>.))|(?P<quote>'')",
    re.DOTALL,
)
_OTHERS = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# the places of pg_net's arguments that are no JSON
_TEXTS = {"url", "timeout_milliseconds"}
_ARGUMENTS = {
    "http_post": ("url", "body", "params", "headers", "timeout_milliseconds"),
    "http_get": ("url", "params", "headers", "timeout_milliseconds"),
    "http_delete": ("url", "params", "headers", "timeout_milliseconds", "body"),
}


@dataclass(frozen=True, slots=True)
class Literal:
    """A constant, or the `parts` that a text joins: where it stands, what it is, and whether pg_net takes it as JSON.

    `is_block`: it is the body of a DO, which stands at `inner`. `is_odd`: what it is, is not known.
    """

    start: int
    end: int
    value: str
    is_json: bool = False
    is_odd: bool = False
    inner: tuple[int, int] = (0, 0)
    parts: tuple["Literal", ...] = ()

    @property
    def is_block(self) -> bool:
        """Whether it is the body of a DO."""
        return self.inner != (0, 0)


@dataclass(slots=True)
class _Open:
    """A parenthesis that is open: of which function, and at which of its arguments the text is."""

    function: str
    is_pg_net: bool = False
    place: int = 0
    name: str | None = None

    @property
    def takes_json(self) -> bool:
        known = _ARGUMENTS.get(self.function, ())
        # the extension `http` has functions of these names with other arguments
        at = known[self.place] if self.is_pg_net and self.place < len(known) else None
        name = self.name or at
        return name in known and name not in _TEXTS


def of(text: str) -> Iterator[Literal]:
    """Yield the constants of a text in their order; those that it joins by `||`, or by a new line, are one."""
    tokens = [one for one in _TOKEN.finditer(text) if one["blank"] is None]
    opened: list[_Open] = []
    at = 0
    while at < len(tokens):
        parts = list(_run(tokens, at))
        if not parts:
            _follow(tokens, at, opened)
            at += 1
            continue
        first, at = at, parts[-1][0] + 1
        found = [literal for _, literal in parts]
        if len(found) > 1:
            is_odd = any(one.is_odd for one in found)
            value = "".join(one.value for one in found)
            yield Literal(found[0].start, found[-1].end, value, is_odd=is_odd, parts=tuple(found))
            continue
        token = tokens[first]
        before = tokens[first - 1][0] if first else ""
        is_alone = before in {"(", ",", ":=", "=>"} and at < len(tokens) and tokens[at][0] in {")", ","}
        yield replace(
            found[0],
            is_json=bool(is_alone and opened and opened[-1].takes_json),
            inner=token.span("body") if token["dollar"] is not None and _is_of_do(tokens, first) else (0, 0),
        )


def _run(tokens: list[re.Match[str]], at: int) -> Iterator[tuple[int, Literal]]:
    while at < len(tokens) and (literal := _literal(tokens[at])) is not None:
        yield at, literal
        at += 2 if at + 1 < len(tokens) and tokens[at + 1]["sign"] == "||" else 1


def quoted(value: str) -> str:
    """Return a text as a constant that means the same whatever the session's settings are."""
    doubled = value.replace("'", "''")
    escaped = doubled.replace("\\", "\\\\")
    return f"E'{escaped}'" if "\\" in value else f"'{doubled}'"


def _follow(tokens: list[re.Match[str]], at: int, opened: list[_Open]) -> None:
    """Keep in mind in which argument of which function the text is."""
    match tokens[at][0]:
        case "(":
            words = [_plain_name(one) or one[0] for one in tokens[max(at - 3, 0) : at]]
            opened.append(_Open(words[-1] if words else "", words[:-1] == ["net", "."]))
        case ")" if opened:
            opened.pop()
        case "," if opened:
            opened[-1].place += 1
            opened[-1].name = None
        case ":=" | "=>" if opened:
            opened[-1].name = _plain_name(tokens[at - 1])


def _plain_name(token: re.Match[str]) -> str:
    name = token["name"] or ""
    return name[1:-1] if name.startswith('"') else name.lower()


def _is_of_do(tokens: list[re.Match[str]], at: int) -> bool:
    words = [one[0].lower() for one in tokens[max(at - 3, 0) : at]]
    return words[-1:] == ["do"] or (words[-3:-1] == ["do", "language"])


def _literal(token: re.Match[str]) -> Literal | None:
    if token["dollar"] is not None:
        return Literal(token.start(), token.end(), token["body"])
    if token["odd"] is not None:
        return Literal(token.start(), token.end(), token["odd"], is_odd=True)
    if token["plain"] is not None:
        return Literal(token.start(), token.end(), token["plain"][1:-1].replace("''", "'"))
    if token["escaped"] is not None:
        return Literal(token.start(), token.end(), _ESCAPE.sub(_unescaped, token["escaped"][2:-1]))
    return None


def _unescaped(found: re.Match[str]) -> str:
    if found["quote"]:
        return "'"
    for group, base in (("octal", 8), ("hex", 16), ("short", 16), ("long", 16)):
        if found[group]:
            code = int(found[group], base)
            return chr(code) if code <= 0x10FFFF else ""
    return _OTHERS.get(found["other"], found["other"])
