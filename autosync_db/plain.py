"""Text as it may be shown: nothing that a database, a server or a function says steers a terminal or a CI system."""

import re
import unicodedata

_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]+")


def printable(text: str) -> str:
    """Return a text of the same lines, with control characters as blanks and without characters that nobody sees.

    Marks that change the direction of writing, or join characters into one of another width, would move what follows.
    """
    if text.isascii() and text.isprintable():
        return text
    shown = []
    for character in text:
        kind = unicodedata.category(character)
        if character != "\n" and kind in {"Cc", "Zl", "Zp"}:
            shown.append(" ")
        elif kind == "Cs":
            shown.append("\ufffd")
        elif kind != "Cf" and not "\ufe00" <= character <= "\ufe0f":
            shown.append(character)
    return "".join(shown)


def clean(text: object) -> str:
    """Return a text as one line, with one blank between words."""
    return " ".join(printable(str(text)).split())


def counted(count: int, noun: str) -> str:
    """Return a number with its noun, which takes an s: `1 job`, `2 jobs`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def without_controls(text: str) -> str:
    """Return a text, such as a name, with one blank for each run of control characters, and otherwise as it is."""
    return _CONTROLS.sub(" ", text)
