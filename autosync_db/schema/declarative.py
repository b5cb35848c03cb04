"""The schema as declarative files, for supabase/schemas.

They say what a database has after `setup`, so that the engine of the Supabase CLI, which compares tables, functions,
policies, grants, extensions and cron jobs, finds no difference. Rows are in no such file. The files are written whole
from the package and the settings; their first line has the checksum of the rest, and a file that somebody edited is
never written again.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from psycopg import sql

from autosync_db import resources, user_files
from autosync_db.config import IsolationSettings, Settings
from autosync_db.errors import UsageError
from autosync_db.jobs import scheduled
from autosync_db.schema import objects, revisions
from autosync_db.schema.isolation import ACCESS_FILE
from autosync_db.supabase import whole_file

# after the project's own tables, which policies may read; an engine that tries files again needs no order
_PREFIX = "zz_autosync"
_HEADER = re.compile(r"-- autosync-db: schema file at (\d{4}), sha256 ([0-9a-f]{64})")
_BEGIN = "-- autosync-db: schema file"
_END = "-- autosync-db: end of file"
_OUR_TABLE = re.compile(r'^create table (if not exists )?"?autosync"?\."?job"? ', re.IGNORECASE | re.MULTILINE)
_TEMPLATES = "templates/supabase/schemas"
_READING = "(select {} from autosync.setting as s where s.name = 'isolation')"
_TABLES = ("public.auto_sync_schedules", "public.pg_cron_secrets")


class State(StrEnum):
    """How a file compares with what would be written."""

    CURRENT = "current"
    MISSING = "missing"
    OUTDATED = "outdated"  # written from other settings or by another version
    CUT = "cut"  # ours, and its end is missing
    EDITED = "edited"  # changed since it was written, or somebody else's


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """One file: where it lies, what it shall say, and what is there."""

    path: Path
    text: str
    state: State


@dataclass(frozen=True, slots=True)
class Schemas:
    """All files of a folder; nothing has been written to find out."""

    files: list[SchemaFile]

    @property
    def edited(self) -> list[Path]:
        """Return the files that are not ours to write."""
        return [file.path for file in self.files if file.state is State.EDITED]

    @property
    def pending(self) -> list[SchemaFile]:
        """Return the files that are to be written."""
        return [file for file in self.files if file.state not in (State.CURRENT, State.EDITED)]

    def write(self) -> None:
        """Write what is pending. Raises UsageError when a file cannot be written."""
        with user_files.refusals():
            for file in self.pending:
                whole_file.write(file.path, file.text, replace=True)


def plan(directory: Path, settings: Settings) -> Schemas:
    """Return what an export into `directory` would write. Connects to nothing.

    Raises UsageError when other files there have the schema already.
    """
    found = []
    with user_files.refusals("read"):
        if other := _declared_elsewhere(directory):
            raise UsageError(
                f"{other} declares the schema already",
                hint="a tree of `supabase db schema declarative generate` is renewed by that command, not by this one",
            )
        for number, (name, (title, parts)) in enumerate(_content(settings).items(), start=1):
            path = directory / f"{_PREFIX}_{number}_{name}.sql"
            text = _text(title, parts)
            found.append(SchemaFile(path, text, _state(path, text)))
    return Schemas(found)


def exported(directory: Path) -> list[Path]:
    """Return the files of an earlier export in a folder."""
    with user_files.refusals("read"):
        return [
            path
            for path in sorted(directory.glob(f"{_PREFIX}_*.sql"))
            if path.read_text("utf-8", errors="replace").startswith(_BEGIN)
        ]


def _declared_elsewhere(directory: Path) -> Path | None:
    """Return a file of somebody else that makes one of our tables, if there is one."""
    for path in sorted(directory.rglob("*.sql")) if directory.is_dir() else []:
        if not path.name.startswith(_PREFIX) and _OUR_TABLE.search(path.read_text("utf-8", errors="replace")):
            return path
    return None


def _state(path: Path, wanted: str) -> State:
    if not path.exists():
        return State.MISSING
    # read as text: a checkout may have other line breaks
    text = path.read_text(encoding="utf-8", errors="replace")
    if text == wanted:
        return State.CURRENT
    first, _, body = text.partition("\n")
    if (header := _HEADER.fullmatch(first)) and header[2] == _hash(body):
        return State.OUTDATED
    is_ours = text.startswith(_BEGIN) or _BEGIN.startswith(text)
    return State.CUT if is_ours and _END not in text else State.EDITED


def _text(title: str, parts: list[str]) -> str:
    body = resources.render(f"{_TEMPLATES}/file.sql.j2", title=title, parts=parts)
    return f"-- autosync-db: schema file at {revisions.head()}, sha256 {_hash(body)}\n{body}"


def _content(settings: Settings) -> dict[str, tuple[str, list[str]]]:
    """Return title and parts of each file, in the order in which they can be run."""
    return {
        "extensions": ("The extensions that the jobs need.", [_template("extensions")]),
        "tables": ("The tables. Nobody but their owner may use them until the grants further on.", _tables()),
        "functions": ("The functions.", [_source(file) for file in _functions()]),
        "triggers": ("The triggers.", [_source(file) for file in _files_in("triggers")]),
        "access": (f'Policies and grants, with the isolation mode "{settings.isolation.mode}".', _access(settings)),
        "jobs": ("The cron jobs, as autosync.toml has them.", scheduled.statements(settings)),
    }


def _tables() -> list[str]:
    closed = f"revoke all on table {', '.join(_TABLES)} from public, anon, authenticated, service_role;"
    return ["create schema if not exists autosync;", _template("tables"), closed]


def _access(settings: Settings) -> list[str]:
    return [_chosen(file, settings.isolation) for file in _files_in("access")]


def _chosen(file: objects.ObjectFile, isolation: IsolationSettings) -> str:
    """Return the text of a file of sql/access/ with the choice in it, which it else reads from the database."""
    text = _source(file)
    if file.path != ACCESS_FILE:
        return text
    if isolation.mode == "custom":
        # a grant of the project's would be revoked here
        return resources.read(f"{_TEMPLATES}/custom_access.sql").strip()
    values = {
        "s.value": f"cast({_literal(json.dumps(isolation.model_dump()))} as jsonb)",
        "s.value ->> 'mode'": _literal(isolation.mode),
    }
    for read, value in values.items():
        before = text
        text = text.replace(_READING.format(read), value)
        if text == before:
            raise ValueError(f"{file.path} does not read {read} where it was looked for")
    return text


def _functions() -> list[objects.ObjectFile]:
    """Return the functions, each after those that it needs to be created: a body in SQL is checked at once."""
    waiting = {file.path: file for file in _files_in("functions")}
    names = {path: path.rpartition("/")[2].removesuffix(".sql") for path in waiting}
    ordered: list[objects.ObjectFile] = []
    while waiting:
        ready = [
            file
            for path, file in waiting.items()
            if "language sql" not in file.source
            or not any(f"{names[other]}(" in file.source for other in waiting if other != path)
        ]
        # functions that need each other are for an engine that tries again
        for file in ready or list(waiting.values()):
            ordered.append(file)
            del waiting[file.path]
    return ordered


def _files_in(kind: str) -> list[objects.ObjectFile]:
    return [file for file in objects.files() if file.path.startswith(f"sql/{kind}/")]


def _source(file: objects.ObjectFile) -> str:
    return re.sub(r"^-- requires: \d{4}\n", "", file.source, flags=re.MULTILINE).strip()


def _template(name: str) -> str:
    return resources.read(f"{_TEMPLATES}/{name}.sql").strip()


def _literal(text: str) -> str:
    return sql.Literal(text).as_string()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
