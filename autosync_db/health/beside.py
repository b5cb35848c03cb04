"""Load what is needed next while the server is waited for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Thread


@contextmanager
def beside(load: Callable[[], object] | None) -> Iterator[None]:
    """Run `load`, if there is one, in a thread for the time of the block, and wait for it at the end.

    What it raises is dropped: whatever is wrong is raised again where the thing is used.
    """
    if load is None:
        yield
        return

    def run() -> None:
        with suppress(Exception):
            load()

    thread = Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        thread.join()
