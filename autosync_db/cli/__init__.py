"""The command line: one module per command, loaded when it is used; each parses, calls and prints."""

import atexit
import gc
import os
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from autosync_db import __version__
from autosync_db.cli import streams

if TYPE_CHECKING:
    import typer

    app: typer.Typer

# what a command imports stays until it ends, and looking through it for garbage takes a tenth of its time
_COLLECT_EVERY = 50_000


def __getattr__(name: str) -> object:
    """Return `app`, the command line as Typer knows it; it is loaded at its first use."""
    if name == "app":
        from autosync_db.cli.program import app

        return app
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def version_line() -> str:
    """Return what --version prints."""
    return f"autosync-db {__version__}"


def main() -> None:
    """Run the command line. A SIGTERM ends it as an interrupt does, so that a change under way is undone."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    streams.prepare()
    if sys.argv[1:] == ["--version"]:
        # where nobody reads it, the command line knows how to end
        with suppress(OSError):
            os.write(1, f"{version_line()}\n".encode())
            return
    # a plugin of pydantic would be shown what is validated, secrets among it; and looking for plugins takes time
    os.environ["PYDANTIC_DISABLE_PLUGINS"] = "__all__"
    gc.set_threshold(_COLLECT_EVERY)
    # what is left at the end goes with the process
    atexit.register(gc.freeze)
    from autosync_db.cli.program import app

    app()
