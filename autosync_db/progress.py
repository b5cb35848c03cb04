"""How long work reports its progress: steps that are done, and what is under way."""

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
    """Where progress is reported: `done` gets every finished step, `doing` what is under way."""

    done: Callable[[Step], None]
    doing: Callable[[str], None]
