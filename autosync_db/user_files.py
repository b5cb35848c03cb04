"""Files of the user's, and the errors that say why one of them cannot be read or written."""

import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from autosync_db.errors import UsageError


@contextmanager
def refusals(verb: Literal["read", "write"] = "write") -> Iterator[None]:
    """Turn what the file system refuses inside the block into a UsageError that names the file."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot {verb} {error.filename}: {error.strerror}", hint="check the path and its permissions"
        ) from error


@contextmanager
def toml_refusals(path: Path) -> Iterator[None]:
    """Turn what keeps a TOML file from being read inside the block into a UsageError that names it; quotes no value."""
    try:
        yield
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", hint="check the file's permissions") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path} is not UTF-8 text", hint="save it as UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        # the parser's message names line and column and quotes no value
        raise UsageError(f"{path} is not valid TOML: {error}", hint="correct the line it names") from None
    except RecursionError:
        # values are nested deeper than the parser, or what walks through them, can go
        raise UsageError(
            f"{path} is nested too deep to be read", hint="correct the value with so many brackets"
        ) from None
