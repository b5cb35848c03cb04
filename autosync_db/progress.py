"""How work that takes long reports its progress: steps that are done, and what is under way."""

from collections.abc import Callable
from dataclasses import dataclass


def _nothing(name: str) -> None: ...


@dataclass(frozen=True, slots=True)
class Step:
    """One step and what came of it; `changed` is false if it found nothing to do, `is_good` if it went wrong."""

    name: str
    result: str
    changed: bool
    is_good: bool = True


@dataclass(frozen=True, slots=True)
class Reporter:
    """Where progress is reported: `done` gets every finished step, `doing` what is under way.

    `begins` gets the name of a step that a list announces, before anything of it is done.
    """

    done: Callable[[Step], None]
    doing: Callable[[str], None]
    begins: Callable[[str], None] = _nothing


SILENT = Reporter(done=lambda step: None, doing=_nothing)


@dataclass(frozen=True, slots=True)
class Onward:
    """What to look at next: a command, and why in a few words."""

    command: str
    why: str
