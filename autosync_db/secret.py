"""A value that hides itself."""

from typing import Final


class Secret:
    """A string that prints as `***` wherever it is formatted, logged or shown in a traceback.

    `reveal()` is the only way to the value, so that every place where a secret leaves its wrapper can be
    found by searching for that word.
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value: Final = value

    def reveal(self) -> str:
        """Return the hidden value."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, format_spec: str) -> str:
        return format("***", format_spec)

    def __reduce__(self) -> tuple[type["Secret"], tuple[str]]:
        raise TypeError("a Secret is not pickled: reveal() it where it must leave the process")
