"""The declarative schema files of a Supabase CLI project: which there are, and whether they hold what is asked for.

Their folder is supabase/schemas; supabase/config.toml may name other places. Reads files only.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autosync_db.errors import UsageError
from autosync_db.supabase.folder import FOLDER, values

MOST_FILES, MOST_BYTES = 2000, 16 * 2**20
_COMMENTS = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
_DEFAULT, _OF_THE_ENGINE = "schemas", "database"


@dataclass(frozen=True, slots=True)
class Declared:
    """The statements of the files without comments, `is_whole` unless there was more than is read."""

    folder: Path
    files: tuple[Path, ...]
    text: str
    is_whole: bool

    def lacks(self, words: Collection[str]) -> list[str]:
        """Return those of these that no file has as a word or as a quoted text."""
        return [word for word in words if not re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", self.text)]


def read(project: Path) -> Declared | None:
    """Return the schema files of a project's folder, None where it has none.

    Raises UsageError when its settings or one of the files cannot be read.
    """
    folder = project / FOLDER
    if not folder.is_dir():
        return None
    files = sorted(set(_files(folder, values(folder))))
    if not files:
        return None
    texts, size = [], 0
    for path in files[:MOST_FILES]:
        try:
            with path.open("rb") as file:
                content = file.read(MOST_BYTES - size + 1)
        except OSError as error:
            raise _unreadable(path, error.strerror or "error") from None
        size += len(content)
        texts.append(_COMMENTS.sub(" ", content.decode(errors="replace")))
        if size > MOST_BYTES:
            break
    return Declared(folder, tuple(files), "\n".join(texts), size <= MOST_BYTES and len(files) <= MOST_FILES)


def _files(folder: Path, settings: Mapping[str, Any]) -> Iterator[Path]:
    patterns = _at(settings, "db", "migrations", "schema_paths")
    if isinstance(patterns, list) and patterns:
        for pattern in patterns:
            if isinstance(pattern, str) and pattern and not pattern.startswith(("/", "~")):
                found = folder.glob(pattern.removeprefix("./"))
                yield from (path for one in found for path in ([one] if one.is_file() else one.rglob("*.sql")))
        return
    engine = _at(settings, "experimental", "pgdelta")
    named = engine.get("declarative_schema_path") if isinstance(engine, dict) else None
    places = {_DEFAULT, *([_OF_THE_ENGINE] if isinstance(engine, dict) else ()), *([named] if named else ())}
    for place in sorted(str(place) for place in places):
        yield from (path for path in (folder / place).rglob("*.sql") if path.is_file())


def _at(settings: Mapping[str, Any], *names: str) -> Any:
    found: Any = settings
    for name in names:
        found = found.get(name) if isinstance(found, dict) else None
    return found


def _unreadable(path: Path, reason: str) -> UsageError:
    return UsageError(f"{path} cannot be read: {reason}", hint="repair it, or skip the check")
