"""What the fuzz tests put in, and what must hold of whatever comes out.

Every run takes the same few examples, so that a push is red for what it brought. `make fuzz` takes many others, from a
seed that it prints.
"""

import json
import os
import re
import secrets
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

from autosync_db.errors import AutosyncError, ExitCode
from autosync_db.supabase.key import redact
from tests.support import keys
from tests.support.command import Result

T = TypeVar("T")

# how many times as many examples as in a run of all tests
FACTOR = int(os.environ.get("AUTOSYNC_FUZZ", "1"))
# of the processor, so that a busy machine is no hang
PATIENCE_SECONDS = 10

# values that no output may hold: made for this run, and found by their ends
PASSWORD = "Pw9!" + secrets.token_hex(12)
LEGACY, SECRET, TOKEN = keys.legacy().reveal(), keys.secret().reveal(), keys.access_token().reveal()
PLANTED = (PASSWORD, LEGACY, SECRET, TOKEN)
DATABASE = f"postgresql://postgres:{PASSWORD}@db.example:5432/postgres"
# an edit cuts none of these in two: half of a key is not known by its form, and opens nothing
_WHOLE = (LEGACY, SECRET, TOKEN, DATABASE, PASSWORD)
_MARKS = {whole: chr(0xE100 + number) for number, whole in enumerate(_WHOLE)}
_ENDS = tuple(value[-16:] for value in PLANTED)

TOKENS = (
    "'",
    '"',
    "''",
    '"""',
    "$$",
    "$x$",
    "--",
    "/*",
    "*/",
    ";",
    "\\",
    "\\u0000",
    "\\x00",
    "\n",
    "\r\n",
    "\t",
    "[",
    "]",
    "[[",
    "{",
    "}",
    "(",
    ")",
    "=",
    "==",
    ",",
    "#",
    "%",
    "%s",
    "%(x)s",
    "{}",
    "{{ x }}",
    "${X}",
    "$(x)",
    "~",
    "..",
    "/",
    "../../etc",
    "null",
    "true",
    "false",
    "nan",
    "inf",
    "-1",
    "0",
    "1e400",
    "9" * 40,
    "0x1f",
    "2026-01-01",
    "00:00",
    "\ufeff",
    "\u202e",
    "\u0130",
    "ß",
    "é",
    "\u2028",
    "\U0001f600",
    "\ue0000\ue001",
    "\x1b[31m",
    "\x7f",
    "\x85",
    "a" * 64,
    "é" * 40,
)


# long and deep, where a text is taken that others may write
LONG = ("x" * 20_000, "[" * 20_000, '{"a":' * 20_000, "(" * 5_000, "'" * 5_000, "-" * 20_000)


def examples(count: int, *, is_slow: bool = False) -> Callable[[T], T]:
    """Return the decorator of a test of `count` examples in every run, the same ones each time.

    One that `is_slow` shows the first example that fails, and looks for no smaller one.
    """
    return hypothesis.settings(
        max_examples=count * FACTOR,
        derandomize=FACTOR == 1,
        database=None,
        deadline=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.explicit, Phase.generate] if is_slow else [Phase.explicit, Phase.generate, Phase.shrink],
    )


def hostile(*more: str) -> st.SearchStrategy[str]:
    """Return texts of what others stumble over: quotes, escapes, other alphabets, depth and length."""
    piece = st.sampled_from([*TOKENS, *more]) | st.text(max_size=6)
    return st.lists(piece, max_size=6).map("".join)


@st.composite
def mutated(draw: st.DrawFn, seeds: Sequence[str], tokens: Sequence[str] = (), most: int = 4) -> str:
    """Return one of some texts that are right, with a few edits: cut, doubled, replaced, put in between."""
    text = _marked(draw(st.sampled_from(seeds)))
    words = st.sampled_from([*TOKENS, *map(_marked, (*tokens, LEGACY, SECRET, TOKEN, DATABASE))])
    for _ in range(draw(st.integers(0, most))):
        # at the borders of words most edits hit something that has a meaning
        places = [0, *(found.start() for found in re.finditer(r"\b|(?<=\n)|[^\w\s]", text)), len(text)]
        start, end = sorted((draw(st.sampled_from(places)), draw(st.sampled_from(places))))
        end = min(end, start + draw(st.sampled_from([0, 1, 8, 60, len(text)])))
        put = draw(st.sampled_from(["", "twice"]) | words | words.map("'{}'".format))
        text = text[:start] + (text[start:end] * 2 if put == "twice" else put) + text[end:]
    for whole, mark in _MARKS.items():
        text = text.replace(mark, whole)
    return text


def _marked(text: str) -> str:
    for whole, mark in _MARKS.items():
        text = text.replace(whole, mark)
    return text


# JSON of any form, beside the one that is expected
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | hostile(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=8,
)


@st.composite
def bent(draw: st.DrawFn, value: Any) -> Any:
    """Return JSON of the form of `value` with one part dropped, or with anything else in its place."""
    if draw(st.integers(0, 3)) == 0 or not isinstance(value, dict | list) or not value:
        return draw(JSON | st.just(value))
    if isinstance(value, list):
        at = draw(st.integers(0, len(value) - 1))
        return [draw(bent(one)) if number == at else one for number, one in enumerate(value)]
    chosen = draw(st.sampled_from(sorted(value)))
    if draw(st.integers(0, 4)) == 0:
        return {name: one for name, one in value.items() if name != chosen}
    return {name: draw(bent(one)) if name == chosen else one for name, one in value.items()}


def as_json(value: Any) -> str:
    """Return JSON as a careless writer makes it: not a number, half of a pair of surrogates and all."""
    return json.dumps(value)


@contextmanager
def within(seconds: float = PATIENCE_SECONDS) -> Iterator[None]:
    """Fail when the block takes more of the processor than this: nothing that is read may make anybody wait."""
    assert threading.current_thread() is threading.main_thread()

    def end(*_: object) -> None:
        raise AssertionError(f"it took more than {seconds} s of the processor")

    before = signal.signal(signal.SIGVTALRM, end)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


def no_secret(*texts: str) -> None:
    """Fail when a text holds a value that was planted."""
    for text in texts:
        found = [end for end in _ENDS if end in text]
        assert not found, f"a planted value is shown: {text[:2000]}"


def bearable(result: Result, *codes: int) -> Result:
    """Return the result of a command that ended in one of some ways, said why, and showed no planted value."""
    seen = f"exit {result.code}\n{result.out[:2000]}\n{result.err[-3000:]}"
    assert result.code in codes, seen
    assert "Traceback" not in result.err, seen
    if result.code in {ExitCode.USAGE, ExitCode.UNREACHABLE, ExitCode.MIGRATION, ExitCode.SECRET}:
        assert len(result.errors) == 1, seen
        assert len(result.hints) == 1, seen
    no_secret(result.out, result.err)
    return result


def refused_or(call: Callable[[], T], kind: type[AutosyncError] = AutosyncError) -> T | None:
    """Return what a call returns, None where it refuses with one of our errors, which shows no planted value."""
    refusal: AutosyncError
    with within():
        try:
            return call()
        except kind as error:
            refusal = error
    assert refusal.message
    assert refusal.hint
    # the command line is the one place that prints them, and masks what it prints
    no_secret(redact(refusal.message), redact(refusal.hint))
    return None
