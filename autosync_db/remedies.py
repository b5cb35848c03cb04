"""Commands and statements that are printed to be run, in hints and remedies; and what only a person can do.

A command that is printed acts on the same database when it is pasted: it repeats the options that the run was started
with, and does not ask for what the target knows.
"""

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from autosync_db import sql_names
from autosync_db.plain import printable

PROGRAM = "autosync-db"
# every command, so that a sentence about the program is not taken for one
GROUPS = frozenset({"alerts", "export", "job", "jobs", "local", "scaffold", "schedules", "secrets"})
COMMANDS = GROUPS | {
    "audit", "cost", "explain", "init", "migrate", "plan", "repair", "report", "rollback", "rotate", "runs", "setup",
    "status", "teardown", "verify", "watch",
}  # fmt: skip
# these speak of this machine, whatever the target
_OF_NO_TARGET = {"init", "local"}
_SINGLE = "|".join(sorted(COMMANDS - GROUPS))
_COMMAND = re.compile(rf"\b{PROGRAM} (?:(?P<group>{'|'.join(sorted(GROUPS))})(?: [a-z]+)?|(?P<single>{_SINGLE}))\b")
_PLACE = re.compile(r"\{([a-z_]+)\}")
# the names in these places come with that of their schema, or of the extension whose setting it is
_QUALIFIED = {"index", "integrations", "setting", "table"}
_STATEMENTS = {"alter", "drop", "grant", "revoke", "select"}
# what begins a command or a statement within what the user reads; a path of a folder begins none
_BEGINNING = re.compile(rf"(?<![\w/])({PROGRAM}|supabase|{'|'.join(sorted(_STATEMENTS))})(?= )")
_VARIABLES = re.compile(r"(?:[A-Z_]+=\S+ )*")
_ADDRESS = re.compile(r" --project-(?:url URL|ref REF)\b")


class Kind(StrEnum):
    """Who runs a remedy: a shell, psql, or nobody but the user."""

    COMMAND = "command"
    SQL = "sql"
    BY_YOU = "by_you"


class ByYou(str):
    """A remedy that no command can be: what the user does, in words that a shell takes for a comment.

    `then` is the command that ends the fault, or shows that it has ended, once that is done.
    """

    __slots__ = ("then",)
    then: str | None

    def __new__(cls, what: str, *, where: str = "", then: str | None = None) -> "ByYou":
        """Say what is to be done, `where`, and what is run then."""
        place = f", {where}" if where else ""
        made = super().__new__(cls, f"# by you{place}: {what}" + (f"; then: {then}" if then else ""))
        made.then = then
        return made


@dataclass(frozen=True, slots=True)
class Aim:
    """What a printed command must repeat, and whether it may leave the project's address out."""

    options: tuple[tuple[str, str], ...] = ()
    knows_address: bool = False

    def at(self, text: str) -> str:
        """Return a text whose commands act on what this run acts on."""
        end = len(text)
        # from the last to the first, so that the places of those before stay what they are
        for match in reversed(list(_COMMAND.finditer(text))):
            rest = text[match.end() : end]
            if self.knows_address:
                rest = _ADDRESS.sub("", rest)
            name = match["group"] or match["single"]
            given = "".join(
                f" {option} {shlex.quote(value)}" for option, value in self._options_of(name) if option not in rest
            )
            text = text[: match.end()] + given + rest + text[end:]
            end = match.start()
        return text

    def _options_of(self, name: str) -> tuple[tuple[str, str], ...]:
        if name == "init":
            return ()
        return tuple(one for one in self.options if name not in _OF_NO_TARGET or one[0] != "--target")


ANYWHERE = Aim()


def kind_of(remedy: str) -> Kind:
    """Return who runs a remedy."""
    if isinstance(remedy, ByYou):
        return Kind.BY_YOU
    begins = _VARIABLES.match(remedy)
    assert begins
    is_command = remedy[begins.end() :].startswith((PROGRAM, "psql ", "supabase ", "timedatectl "))
    return Kind.COMMAND if is_command else Kind.SQL


def filled(remedy: str, facts: Mapping[str, Any]) -> str:
    """Return a remedy with what was found in its places, quoted for whoever runs it; an unknown one is in capitals."""
    kind = kind_of(remedy)

    def value(place: re.Match[str]) -> str:
        found = facts.get(place[1])
        if found is None:
            return place[1].upper()
        text = str(found)
        # a name may hold anything, and what is printed stays in its line
        shown = printable(text).replace("\n", " ")
        before = remedy[: place.start()]
        if kind is Kind.COMMAND:
            return shlex.quote(shown)
        if before.endswith("'"):
            return shown.replace("'", "''")
        if not (_is_in_statement(before) if kind is Kind.BY_YOU else "--" not in before):
            return shlex.quote(shown)
        if isinstance(found, int):
            return text
        return sql_names.qualified(text) if place[1] in _QUALIFIED else sql_names.identifier(text)

    return _PLACE.sub(value, remedy)


def _is_in_statement(text: str) -> bool:
    """Return whether what follows a text belongs to a statement that stands in it, and not to a command or to words."""
    *_, last = ["", *_BEGINNING.findall(text.rpartition(";")[2])]
    return last in _STATEMENTS


def template(remedy: str) -> str:
    """Return a remedy as documents show it: with the names of what it is filled with."""
    return filled(remedy, {})
