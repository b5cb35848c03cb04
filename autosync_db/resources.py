"""The files that ship with the package, named by their path in the repository.

sql/, alembic/, templates/ and docs/ lie at the top level of a checkout, and in a wheel under `autosync_db/_bundled`; of
docs/ it has what `explain` prints. Files under autosync_db/ lie in the package in both. No other module knows that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path


def locate(path: str) -> Traversable:
    """Return the shipped file or folder that lies at `path` in the repository."""
    top, *rest = path.split("/")
    return _folder(top).joinpath(*rest)


# where a folder lies is found out once: that takes longer than reading a file in it
@cache
def _folder(top: str) -> Traversable:
    package = files("autosync_db")
    if top == "autosync_db":
        return package
    bundled = package / "_bundled"
    return (bundled if bundled.is_dir() else Path(__file__).parents[1]) / top


# a look at a database reads some 150 files, which do not change while the program runs
@cache
def read(path: str) -> str:
    """Return the text of the shipped file at `path`, e.g. `sql/checks/job_active.sql`."""
    return locate(path).read_text(encoding="utf-8")


def render(path: str, **values: object) -> str:
    """Return the shipped Jinja template at `path`, rendered; an unknown name in it is an error."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - renders SQL and TOML, not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(read(path)).render(values)


@cache
def names(folder: str, suffix: str) -> tuple[str, ...]:
    """Return the sorted names (without suffix) of the files in `folder` that end in `suffix`."""
    found = locate(folder).iterdir()
    return tuple(sorted(entry.name.removesuffix(suffix) for entry in found if entry.name.endswith(suffix)))


@contextmanager
def folder(path: str) -> Iterator[Path]:
    """Yield the shipped folder as a real directory, unpacked for the time of the block if it must be."""
    with as_file(locate(path)) as real:
        yield real
