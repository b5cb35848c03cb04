"""`jobs import`, `jobs adopt` and `jobs release`: cron jobs that are there already."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from autosync_db.jobs.importing import Import, Imported


def register(app: typer.Typer) -> None:
    """Add the commands to the group of the jobs."""
    command(app, "import")(_import)


def _import(
    session: Session,
    write: Annotated[
        bool, typer.Option("--write", help="Add the tables to autosync.toml, below what is there.")
    ] = False,
) -> None:
    """Print [jobs.*] tables for the cron jobs that are there.

    A call is translated; what cannot be, such as the call of a helper function, is only watched. A secret in a text
    becomes a named secret, which is never printed. Nothing in the database is changed.
    """
    from autosync_db.connection import connect
    from autosync_db.credentials import store
    from autosync_db.jobs import importing

    configuration = session.configuration
    with connect(configuration.target.database_url) as connection:
        url = configuration.target.project_url or store.known_project_url(connection)
        found = importing.read(connection, url)
    added = None
    if write:
        added = _write(configuration.source, found)
    if session.is_json:
        session.print_json({"jobs": [_as_json(one) for one in found.jobs], "skipped": found.skipped})
    elif not write:
        session.print_text(importing.toml(found.jobs))
    for line in _remarks(found, added):
        session.say(line)


def _write(path: "Path | None", found: "Import") -> "list[Imported]":
    """Add the tables that the file lacks; return them. Raises UsageError where the file cannot have them."""
    from autosync_db.config import FILE_NAME
    from autosync_db.jobs import importing, settings_file

    if path is None:
        raise UsageError(f"there is no {FILE_NAME} to add to", hint="create one with: autosync-db init")
    missing = importing.missing_from(found.jobs, settings_file.job_names(path))
    if missing:
        settings_file.append(path, importing.toml(missing))
    return missing


def _as_json(one: "Imported") -> dict[str, Any]:
    return {
        "name": one.name,
        "id": one.job.id,
        "cron_name": one.job.name,
        "role": one.job.role,
        "schedule": one.job.schedule,
        "active": one.job.active,
        "kind": one.kind,
        "table": one.table,
        "secrets": [take.name for take in one.takes],
        "notes": one.notes,
        "reason": one.reason,
    }


def _remarks(found: "Import", added: "list[Imported] | None") -> list[str]:
    said = []
    if not found.jobs:
        said.append("there are no cron jobs besides those of autosync-db")
    if found.skipped:
        said.append(f"already jobs of autosync-db: {', '.join(found.skipped)}")
    if found.hides_others:
        said.append("jobs of other roles are hidden from this role and may be there besides")
    if added is not None:
        said.append(f"added {', '.join(one.name for one in added)}" if added else "nothing to add: all are in the file")
    for name, job in {take.name: one.name for one in found.jobs for take in one.takes}.items():
        said.append(f"the secret {name} is taken along by: autosync-db jobs adopt {job}")
    return said
