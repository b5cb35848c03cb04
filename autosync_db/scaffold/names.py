"""Names that are written into files of other programs: none twice, and none that is read there as anything else."""

import re
from collections.abc import Collection

from autosync_db.errors import UsageError

TARGET = r"[A-Za-z0-9._-]+"
VARIABLE = r"[A-Za-z_][A-Za-z0-9_]*"


def unused(name: str, taken: Collection[str]) -> str:
    """Return a name as it is, or with the first number from 2 on that makes it another than those that are taken."""
    return next(one for number in range(1, 1000) if (one := name if number == 1 else f"{name}_{number}") not in taken)


def check(name: str, value: str, pattern: str, *, file: str) -> str:
    """Return `value` if such a file can hold it. Raises UsageError, which calls it by `name`, if not."""
    if not re.fullmatch(pattern, value):
        raise UsageError(f"{name} {value!r} cannot be used in {file}", hint=f"use one that matches {pattern}")
    return value
