"""One test of many inputs: every input that fails is reported, not only the first."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

Case = Callable[[object], AbstractContextManager[None]]


@contextmanager
def collected() -> Iterator[Case]:
    """Yield a context for each input; at the end fail with every input whose block failed, and why."""
    offenders: list[str] = []

    @contextmanager
    def case(name: object) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            offenders.append(f"{name!r}: {type(error).__name__}: {error}")

    yield case
    assert not offenders, "\n".join((f"{len(offenders)} failed", *offenders))
