"""The revisions and objects as migrations of the Supabase CLI, for `supabase db push`.

One file per revision, then one for the objects that belong to the last. Each file is one statement that looks at what
the database has and leaves alone what is there, so a project may go back and forth between `supabase db push` and
`autosync-db migrate`. Files that exist are known by their first line and never written again.
"""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from psycopg import sql

from autosync_db import resources, user_files
from autosync_db.config import IsolationSettings
from autosync_db.errors import MigrationError, UsageError
from autosync_db.plain import counted
from autosync_db.schema import locks, migrate, objects
from autosync_db.schema.isolation import ACCESS_FILE, choice
from autosync_db.schema.migrate import ScriptedRevision
from autosync_db.schema.revisions import ADVISORY_LOCK, MAKE_WAY, SCHEMA
from autosync_db.supabase import whole_file

_BEGIN = "-- autosync-db: "
_HEADER = re.compile(r"-- autosync-db: (revision|objects at) (\d{4}), sha256 ([0-9a-f]{64})")
_OBJECT = re.compile(r"^\(\d+, '([^']+)', '([0-9a-f]{64})', ", re.MULTILINE)
_CHOSEN = re.compile(r"^    chosen constant jsonb := '(.*)';$", re.MULTILINE)
# as the CLI reads file names; it applies them in the order of their versions as text
_VERSION = re.compile(r"(\d+)_.*\.sql")
# a file that was cut short is known by its name where its first line is not whole, too
_NAME = re.compile(r"\d+_autosync_(\d{4})_(\w+)\.sql")
_LAST = re.compile(r"^\$autosync_migration\d*\$;", re.MULTILINE)
_TIMESTAMP = "%Y%m%d%H%M%S"


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A file of an earlier export, as it is now."""

    path: Path
    revision: str
    is_objects: bool
    text: str
    edited: bool
    cut: bool = False


@dataclass(frozen=True, slots=True)
class PendingFile:
    """A file that is still to be written."""

    path: Path
    summary: str
    text: str


@dataclass(frozen=True, slots=True)
class Export:
    """What the folder holds and what it lacks; nothing has been written to find out."""

    existing: list[ExportedFile]
    pending: list[PendingFile]
    # ours, and only their beginning is there
    cut: list[PendingFile]

    @property
    def edited(self) -> list[Path]:
        """Return the exported files that were changed since, and those cut short that no text is known of any more."""
        again = {file.path for file in self.cut}
        return [file.path for file in self.existing if file.edited or (file.cut and file.path not in again)]

    def write(self) -> None:
        """Write what is pending, each file whole or not at all. Raises UsageError when one cannot be written.

        None is ever overwritten, but for those that were cut short.
        """
        with user_files.refusals():
            for file in self.cut:
                whole_file.write(file.path, file.text, replace=True)
            for file in self.pending:
                whole_file.write(file.path, file.text)


def plan(directory: Path, isolation: IsolationSettings | None = None, now: datetime | None = None) -> Export:
    """Return what an export into `directory` would write. Connects to nothing.

    `isolation` None keeps the mode of the last export, or the default. New files are dated `now` (UTC), or later where
    they would not come after every migration that is there. Raises MigrationError when the folder was exported by a
    newer version of the package or lacks a file between others.
    """
    now = now or datetime.now(UTC)
    existing, newest = _read(directory)
    steps = migrate.steps()
    known = [step.revision for step in steps]
    exported = {file.revision for file in existing}
    if unknown := sorted(exported - set(known)):
        raise MigrationError(
            f"{directory} holds revision {unknown[-1]}, which this version of autosync-db does not know",
            hint="upgrade autosync-db: a newer one exported it",
        )
    exported = {file.revision for file in existing if not file.is_objects}
    missing = [step for step in steps if step.revision not in exported]
    if missing and exported and missing[0].revision < max(exported):
        raise MigrationError(
            f"{directory} lacks the file of revision {missing[0].revision}, but holds that of {max(exported)}",
            hint="restore it from version control: a new one would come too late",
        )
    bodies = [(_revision_name(step.revision), step.summary, _revision_text(step)) for step in missing]
    whole = [file for file in existing if not file.cut]
    made = _objects(whole, known[-1], isolation, now)
    cut = _whole_again(existing, steps, made if not missing else [])
    if not any(file.text == text for file in cut for _, _, text in made):
        bodies += made
    names = _versions(newest, now, len(bodies), directory)
    return Export(
        existing,
        [
            PendingFile(directory / f"{version}_autosync_{name}.sql", summary, text)
            for version, (name, summary, text) in zip(names, bodies, strict=True)
        ],
        cut,
    )


def exported(directory: Path) -> list[ExportedFile]:
    """Return the files of earlier exports in a folder, oldest first, none where there is no such folder."""
    return _read(directory)[0]


def _whole_again(
    existing: list[ExportedFile], steps: list[ScriptedRevision], made: list[tuple[str, str, str]]
) -> list[PendingFile]:
    """Return the files that were cut short with the whole of their text, under the names that they have.

    Of cut files with objects only the last is written: it holds what the others lack.
    """
    texts = {step.revision: step for step in steps}
    found = [
        PendingFile(file.path, texts[file.revision].summary, _revision_text(texts[file.revision]))
        for file in existing
        if file.cut and not file.is_objects
    ]
    if made and (last := [file for file in existing if file.is_objects][-1:]) and last[0].cut:
        _, summary, text = made[0]
        found.append(PendingFile(last[0].path, summary, text))
    return found


def _read(directory: Path) -> tuple[list[ExportedFile], str]:
    """Return the exported files, oldest first, and the newest version of any migration, '' for none."""
    found, newest = [], ""
    with user_files.refusals("read"):
        for path in sorted(directory.glob("*.sql")) if directory.is_dir() else []:
            named = _VERSION.fullmatch(path.name)
            if named is None:
                continue  # the CLI skips it, too
            newest = max(newest, named[1])
            with path.open("rb") as opened:
                line = opened.readline(200).decode(errors="replace")
            if file := _known(path, line):
                found.append((named[1], file))
    return [file for _, file in sorted(found, key=lambda item: item[0])], newest


def _known(path: Path, line: str) -> ExportedFile | None:
    """Return the exported file that begins with this line, None for one of somebody else."""
    header = _HEADER.fullmatch(line.rstrip("\r\n"))
    if header is None:
        by_name = _NAME.fullmatch(path.name)
        if by_name is None or line.endswith("\n") or line[: len(_BEGIN)] != _BEGIN[: len(line)]:
            return None
        return ExportedFile(path, by_name[1], by_name[2] == "objects", "", edited=False, cut=True)
    # read as text: a checkout may have other line breaks
    body = path.read_text(encoding="utf-8", errors="replace").partition("\n")[2]
    kind, revision, checksum = header.groups()
    is_whole = _hash(body) == checksum
    is_cut = not is_whole and not _LAST.search(body)
    return ExportedFile(path, revision, kind != "revision", body, not is_whole and not is_cut, is_cut)


def _versions(newest: str, now: datetime, count: int, directory: Path) -> list[str]:
    """Return `count` timestamps, a second apart, that all sort after `newest`."""
    start = now
    if newest >= now.strftime(_TIMESTAMP):
        try:
            start = datetime.strptime(newest, _TIMESTAMP).replace(tzinfo=UTC) + timedelta(seconds=1)
        except ValueError:
            raise UsageError(
                f"no timestamp comes after {newest}, the version of a migration in {directory}",
                hint="rename that migration to a timestamp of 14 digits, as `supabase migration new` gives",
            ) from None
    return [(start + timedelta(seconds=n)).strftime(_TIMESTAMP) for n in range(count)]


def _revision_name(revision: str) -> str:
    (name,) = (name for name in resources.names("alembic/versions", ".py") if name.startswith(f"{revision}_"))
    return name


def _revision_text(step: ScriptedRevision) -> str:
    body = resources.render(
        "templates/supabase/revision.sql.j2",
        revision=step.revision,
        previous=step.previous,
        summary=step.summary.rstrip("."),
        statements=step.statements,
        make_way=resources.read(MAKE_WAY).strip(),
        **_common([*step.statements, resources.read(MAKE_WAY)]),
    )
    return f"-- autosync-db: revision {step.revision}, sha256 {_hash(body)}\n{body}"


def _objects(
    existing: list[ExportedFile], revision: str, isolation: IsolationSettings | None, now: datetime
) -> list[tuple[str, str, str]]:
    """Return name, summary and text of the file with the objects that the folder does not hold yet; [] for none."""
    earlier = [file for file in existing if file.is_objects]
    exported: dict[str, str] = {}
    replaced: dict[str, dict[str, None]] = {}
    for file in earlier:
        for path, source_hash in _OBJECT.findall(file.text):
            exported[path] = source_hash
            replaced.setdefault(path, {})[source_hash] = None
    choices = [found[1] for file in earlier if (found := _CHOSEN.search(file.text))]
    last = IsolationSettings(**json.loads(choices[-1])) if choices else None
    chosen = isolation or last
    wanted = objects.available_at(revision)
    # a new revision may have dropped what an unchanged file made: then all of them, each applied only where it must be
    complete = not any(file.revision == revision for file in earlier)
    pending = [
        file
        for file in wanted
        if complete or exported.get(file.path) != file.source_hash or (file.path == ACCESS_FILE and chosen != last)
    ]
    if not pending:
        return []
    body = resources.render(
        "templates/supabase/objects.sql.j2",
        revision=revision,
        written_at=f"{now:%Y-%m-%d %H:%M:%S}+00",
        chosen=_literal(json.dumps(chosen.model_dump())) if chosen else "null",
        choosing=choice(chosen).as_string() if chosen else "",
        earlier_choices=[_literal(text) for text in dict.fromkeys(choices)],
        access_file=ACCESS_FILE,
        paths=[file.path for file in wanted] if complete else [],
        tools=objects.TOOLS,
        objects=[
            {
                "path": file.path,
                "source_hash": file.source_hash,
                "replaces": [_literal(source_hash) for source_hash in replaced.get(file.path, ())],
                "source": file.source.strip(),
            }
            for file in pending
        ],
        **_common([file.source for file in pending]),
    )
    summary = counted(len(pending), "object") if complete else ", ".join(file.path for file in pending)
    return [(f"{revision}_objects", summary, f"-- autosync-db: objects at {revision}, sha256 {_hash(body)}\n{body}")]


def _common(texts: list[str]) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "lock": ADVISORY_LOCK,
        "lock_timeout": locks.LOCK_TIMEOUT,
        "tag": objects.dollar_quote("autosync_migration", texts),
        "inner": objects.dollar_quote("autosync_text", texts),
    }


def _literal(text: str) -> str:
    return sql.Literal(text).as_string()


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
