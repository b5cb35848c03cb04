"""The files that ship with the package: sql/, alembic/, templates/ and the pages of the checks.

In a checkout they lie at the top level; in a wheel under `autosync_db/_bundled`. No other module knows that.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.resources import as_file, files
from importlib.resources.abc import Traversable
from pathlib import Path


def root() -> Traversable:
    """Return the folder that holds `sql/`, `alembic/`, `templates/` and `docs/checks/`."""
    bundled = files("autosync_db") / "_bundled"
    return bundled if bundled.is_dir() else Path(__file__).parents[1]


def read(path: str) -> str:
    """Return the text of the shipped file at `path`, e.g. `sql/checks/job_active.sql`."""
    return root().joinpath(*path.split("/")).read_text(encoding="utf-8")


def render(path: str, **values: object) -> str:
    """Return the shipped Jinja template at `path`, rendered; an unknown name in it is an error."""
    import jinja2

    environment = jinja2.Environment(  # noqa: S701 - renders SQL and TOML, not HTML
        undefined=jinja2.StrictUndefined, trim_blocks=True, keep_trailing_newline=True
    )
    return environment.from_string(read(path)).render(values)


def names(folder: str, suffix: str) -> list[str]:
    """Return the sorted names (without suffix) of the files in `folder` that end in `suffix`."""
    found = root().joinpath(*folder.split("/"))
    return sorted(entry.name.removesuffix(suffix) for entry in found.iterdir() if entry.name.endswith(suffix))


@contextmanager
def folder(path: str) -> Iterator[Path]:
    """Yield the shipped folder as a real directory, unpacked for the time of the block if it must be."""
    with as_file(root().joinpath(*path.split("/"))) as real:
        yield real
