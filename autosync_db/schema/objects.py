"""The replaceable objects: every file under sql/ that may be applied again at any time.

Each file names the revision it needs in its head (`-- requires: 0003`). After revisions have run, the files that
changed, and those whose object was changed or dropped in the database, are applied in the same transaction, by
autosync.apply_object().
"""

import hashlib
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import Any

from psycopg import sql

from autosync_db import resources
from autosync_db.connection import Connection, exists, spelling, value

# the folders in the order in which their files are applied
_FOLDERS = ("sql/extensions", "sql/functions", "sql/triggers", "sql/access", "sql/jobs")
# what applies all files, these included: each must be there, as this version has it, before it is called
TOOLS = ("sql/functions/autosync.object_rendering.sql", "sql/functions/autosync.apply_object.sql")

_FUNCTION = re.compile(r"^create or replace function ([\w.]+)\(([^)]*)\)", re.MULTILINE)

_QUESTION = """
select jsonb_build_object(
    'revision', (select v.version_num from autosync.alembic_version as v),
    'recorded', (
        select jsonb_object_agg(o.path, jsonb_build_array(o.source_hash, o.live_hash)) from autosync.object as o
    ),
    'absent', (
        select jsonb_agg(s.name) from unnest({signatures}::text[]) as s (name) where to_regprocedure(s.name) is null
    ),
    'rendered', (select jsonb_object_agg(r.path, r.live_hash) from ({rendering}) as r (path, live_hash))
) as fact
"""


class State(StrEnum):
    """How an object in the database compares with its file."""

    CURRENT = "current"
    MISSING = "missing"  # never applied, or dropped since
    OUTDATED = "outdated"  # applied from an older text of the file
    EDITED = "edited"  # changed in the database since it was applied


@dataclass(frozen=True, slots=True)
class ObjectFile:
    """One file under sql/ that describes one object."""

    path: str
    requires: str
    source: str

    @property
    def source_hash(self) -> str:
        """Identify the text of the file."""
        return _hash(self.source)


# each look at a database compares all files
@cache
def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def files() -> list[ObjectFile]:
    """Return every replaceable file in the order in which they are applied."""
    found = []
    for path in paths():
        source = resources.read(path)
        head = re.search(r"^-- requires: (\d{4})$", source, re.MULTILINE)
        if head is None:
            raise ValueError(f"{path} does not say which revision it requires")
        found.append(ObjectFile(path, head[1], source))
    return found


def paths() -> list[str]:
    """Return the path of every replaceable file in the order in which they are applied."""
    return [f"{folder}/{name}.sql" for folder in _FOLDERS for name in resources.names(folder, ".sql")]


def available_at(revision: str | None) -> list[ObjectFile]:
    """Return the files whose required revision is applied when `revision` is."""
    return [file for file in files() if revision is not None and file.requires <= revision]


@cache
def signatures(source: str) -> tuple[str, ...]:
    """Return the functions that a file creates, with the types of their arguments."""
    return tuple(
        f"{name}({', '.join(_type(argument) for argument in arguments.split(',') if _is_input(argument))})"
        for name, arguments in _FUNCTION.findall(source)
    )


def _is_input(argument: str) -> bool:
    return bool(argument.strip()) and not argument.strip().startswith("out ")


def _type(argument: str) -> str:
    # the name goes before it, the default after it
    return argument.split(" default ")[0].strip().partition(" ")[2]


def rendering() -> str:
    """Return the query of path and live_hash of the files at `$1`, an array of paths; null where nothing is.

    It is the body of autosync.object_rendering(), which may be missing, older or edited in the database that is asked.
    """
    return resources.read(TOOLS[0]).split("$$")[1].strip()


def states(connection: Connection, revision: str | None) -> dict[str, State]:
    """Return the state of every object that belongs to a database at `revision`. Reads only."""
    wanted = available_at(revision)
    return compare(wanted, _recorded(connection), _rendered(connection, wanted))


def compare(
    wanted: Iterable[ObjectFile], recorded: Mapping[str, tuple[str, str]], rendered: Mapping[str, str | None]
) -> dict[str, State]:
    """Return the state of each file's object, by what was recorded of it and how the server renders it now.

    `recorded` holds the hashes of the file's text and of the rendering, `rendered` the hash of the rendering or None.
    """
    found = {}
    for file in wanted:
        source_hash, live_hash = recorded.get(file.path, (None, None))
        if rendered.get(file.path) is None or source_hash is None:
            found[file.path] = State.MISSING
        elif source_hash != file.source_hash:
            found[file.path] = State.OUTDATED
        else:
            found[file.path] = State.CURRENT if rendered[file.path] == live_hash else State.EDITED
    return found


def question() -> str:
    """Return the query of what is recorded and there of all objects but the jobs, as one JSON value `fact`.

    It fails where the schema is not there. `answered` reads the value.
    """
    # jobs are compared by checks of their own
    wanted = [path for path in paths() if not path.startswith("sql/jobs/")]
    rendered = rendering().replace("$1", sql.Literal(wanted).as_string() + "::text[]")
    functions = [signature for file in files() for signature in signatures(file.source)]
    text = _QUESTION.replace("{signatures}", sql.Literal(functions).as_string())
    return text.replace("{rendering}", rendered)


def answered(wanted: Iterable[ObjectFile], found: Mapping[str, Any]) -> dict[str, State]:
    """Return the state of each file's object by the answer to `question`."""
    wanted = list(wanted)
    recorded = {path: (source, live) for path, (source, live) in (found["recorded"] or {}).items()}
    # a file that makes several functions is missing when one of them is
    absent = set(found["absent"] or ())
    rendered = {
        file.path: None if absent & set(signatures(file.source)) else found["rendered"].get(file.path)
        for file in wanted
    }
    return compare(wanted, recorded, rendered)


def apply(connection: Connection, revision: str | None) -> list[str]:
    """Apply every file that is not current and return their paths. The caller's transaction makes it atomic."""
    if revision is None:
        return []
    wanted = available_at(revision)
    connection.execute("delete from autosync.object where not path = any(%s::text[])", [[file.path for file in wanted]])
    found = compare(wanted, _recorded(connection), _rendered(connection, wanted))
    pending = [file for file in wanted if found[file.path] is not State.CURRENT]
    if not pending:
        return []
    for file in pending:
        if file.path in TOOLS:
            connection.execute(file.source.encode())
    # one round trip, as the API may be waiting for our locks
    connection.execute(
        "select autosync.apply_object(f.path, f.source_hash, f.source)"
        " from unnest(%s::text[], %s::text[], %s::text[]) as f (path, source_hash, source)",
        [
            [file.path for file in pending],
            [file.source_hash for file in pending],
            [file.source for file in pending],
        ],
    )
    return [file.path for file in pending]


def application(file: ObjectFile) -> sql.Composed:
    """Return the statement that applies one file, with its text as it is, for a script or a repair."""
    tag = dollar_quote("source", [file.source])
    return sql.SQL("select autosync.apply_object({}, {}, {})").format(
        sql.Literal(file.path), sql.Literal(file.source_hash), sql.SQL(f"{tag}\n{file.source.strip()}\n{tag}")
    )


def reapplication(connection: Connection, revision: str | None, paths: Collection[str]) -> list[sql.Composable]:
    """Return the statements that apply the files at `paths`, current or not. Reads only."""
    wanted = [file for file in available_at(revision) if file.path in paths]
    if not wanted:
        return []
    found = states(connection, revision)
    tools = [file for file in available_at(revision) if file.path in TOOLS and found[file.path] is not State.CURRENT]
    return [*(sql.SQL(file.source.strip()) for file in tools), *map(application, wanted)]


def script(revision: str | None) -> str:
    """Return the text that applies every object for `revision`, for a script that is run elsewhere."""
    wanted = available_at(revision)
    parts = [file.source.strip() for file in wanted if file.path in TOOLS]
    parts += [f"-- {file.path}\n{application(file).as_string()};" for file in wanted]
    return "\n\n".join(parts) + "\n"


def dollar_quote(name: str, texts: Iterable[str]) -> str:
    """Return a dollar quote of this name, with a number where it needs one, that none of the texts contains."""
    texts = list(texts)
    number = 0
    while any((tag := f"${name}{number or ''}$") in text for text in texts):
        number += 1
    return tag


def _recorded(connection: Connection) -> dict[str, tuple[str, str]]:
    if not exists(connection, "autosync.object"):
        return {}
    rows = connection.execute("select path, source_hash, live_hash from autosync.object").fetchall()
    return {path: (source_hash, live_hash) for path, source_hash, live_hash in rows}


def _rendered(connection: Connection, wanted: list[ObjectFile]) -> dict[str, str | None]:
    query = rendering().replace("$1", "%s::text[]")
    # how names are shown depends on the search path
    with connection.transaction(force_rollback=True):
        connection.execute(f"select set_config('search_path', 'pg_catalog, pg_temp', true), {spelling.CALLS}".encode())
        rendered: dict[str, str | None] = dict(
            connection.execute(query.encode(), [[file.path for file in wanted]]).fetchall()
        )
        # jobs are not shown: their content belongs to the user
        judge = "autosync.jobs_current()"
        is_current = exists(connection, judge) and bool(value(connection, f"select {judge}"))
    jobs = {path: "current" if is_current else None for path in rendered if path.startswith("sql/jobs/")}
    return rendered | jobs
