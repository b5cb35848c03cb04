"""Texts in lines that fit a terminal, with their commands whole, so that they can be copied; a pipe gets one line."""

import re
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from autosync_db.remedies import COMMANDS, PROGRAM

INDENT = 2
# a command of a text, to where the sentence goes on
_COMMAND = re.compile(
    rf"{PROGRAM} (?:{'|'.join(sorted(COMMANDS))})\b" + r"(?:[^;,()'\s]|'[^']*'| (?!and |or )(?=[^\s;,()]))*"
)
_WHOLE = re.compile(rf"(?P<command>{_COMMAND.pattern}\S*)|\S+")


def pieces(found: Sequence[str], console: Console) -> None:
    """Print pieces with commas between them, each whole, on as many lines as they need."""
    line = ""
    for number, piece in enumerate(found):
        added = piece + ("," if number < len(found) - 1 else "")
        if line and cell_len(f"{line} {added}") > console.width:
            console.print(Text(line, style="dim"), soft_wrap=True)
            line = ""
        line = f"{line} {added}".lstrip()
    console.print(Text(line, style="dim"), soft_wrap=True)


def say(text: Text | str, console: Console, *, indent: int = 0) -> None:
    """Print a text broken at words, with its commands whole, so that they can be copied; a pipe gets one line."""
    shown = Text(text) if isinstance(text, str) else text
    if not console.is_terminal:
        console.print(Text(" " * indent) + shown, soft_wrap=True)
        return
    for number, line in enumerate(wrapped(shown, console.width - indent, hanging=INDENT)):
        console.print(Text(" " * (indent + (INDENT if number else 0))) + line, soft_wrap=True)


def wrapped(text: Text, width: int, *, hanging: int = 0) -> list[Text]:
    """Return a text in lines: broken at blanks outside of commands, and inside of a word where that is too long.

    A command that is longer than a line stays whole all the same, on a line of its own: half of it must not be run.
    """
    text.expand_tabs()
    lines: list[Text] = []
    for paragraph in text.split("\n", allow_blank=True):
        begin = end = 0
        has_own_line = False
        for found in _WHOLE.finditer(paragraph.plain):
            if has_own_line:
                # what follows a command would be pasted with it
                lines.append(paragraph[begin:end])
                begin, has_own_line = found.start(), False
                end = begin
            room = width - (hanging if lines else 0)
            if paragraph[begin : found.end()].cell_len <= room:
                end = found.end()
                continue
            if end > begin:
                lines.append(paragraph[begin:end])
                room = width - hanging
            begin, end = found.start(), found.end()
            has_own_line = found["command"] is not None
            while not found["command"] and paragraph[begin:end].cell_len > room:
                cut = begin + _cut(paragraph[begin:end], room)
                lines.append(paragraph[begin:cut])
                begin, room = cut, width - hanging
        lines.append(paragraph[begin:end])
    return lines or [Text()]


def _cut(word: Text, room: int) -> int:
    """Return how many characters of a word fit."""
    taken = 0
    for number, character in enumerate(word.plain):
        taken += cell_len(character)
        if taken > room:
            return max(number, 1)
    return len(word.plain)
