"""How long work tells of itself: steps that are done, and what is under way."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Step:
    """One step and what came of it; `changed` is false when it found nothing to do."""

    name: str
    result: str
    changed: bool


@dataclass(frozen=True, slots=True)
class Reporter:
    """Who is told about progress: `done` of every finished step, `doing` of what is under way."""

    done: Callable[[Step], None]
    doing: Callable[[str], None]
