"""`jobs import`, `jobs adopt` and `jobs release`: existing cron jobs."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autosync_db.cli import completion, secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from autosync_db.jobs.importing import Import, Imported
    from autosync_db.secret import Secret


def register(app: typer.Typer) -> None:
    """Add the commands to the group of the jobs."""
    command(app, "import")(_import)
    command(app, "adopt")(_adopt)
    command(app, "release")(_release)


def _import(
    session: Session,
    write: Annotated[bool, typer.Option("--write", help="Append the tables to autosync.toml.")] = False,
) -> None:
    """Print [jobs.*] tables for the existing cron jobs.

    Calls are translated; a job that cannot be translated, such as one that calls a helper function, is only watched. A
    secret in a text becomes a named secret, which is never printed. Nothing in the database is changed.
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


def _adopt(
    session: Session,
    name: Annotated[
        str,
        typer.Argument(help="Name of the job, as in the settings.", metavar="NAME", autocompletion=completion.jobs),
    ],
    cron_id: Annotated[
        int | None,
        typer.Option("--from", help="Number of the cron job, if it has no name or another one.", metavar="ID"),
    ] = None,
    project_url: Annotated[
        str | None, typer.Option(help="The project's address, if the job's text does not have it.", metavar="URL")
    ] = None,
    service_role_key_file: secret_input.KeyFile = None,
    service_role_key_env: secret_input.KeyVariable = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done; change nothing.")] = False,
) -> None:
    """Take over a cron job as set in autosync.toml, once a real call has succeeded.

    Its secrets are stored, and its text is kept without them. Until the call has succeeded, and if it fails, everything
    is as it was. `release` restores the job.
    """
    from autosync_db.connection import connect
    from autosync_db.jobs import binding, registry, undeclared
    from autosync_db.progress import Reporter
    from autosync_db.report import as_calls
    from autosync_db.setup import adopting, takeover

    configuration = session.configuration
    given = _given(session, name, project_url, service_role_key_file, service_role_key_env)
    with connect(configuration.target.database_url) as connection:
        binding.require_own(binding.inherited(connection, configuration.target))
        adoption = adopting.foresee(connection, configuration, name, cron_id, given=given)
    if adoption is None:
        session.say(f"nothing to do: {name} is a job of autosync-db")
        return
    steps = adoption.steps
    if dry_run:
        if session.is_json:
            session.print_json({"job": name, "steps": steps})
        else:
            session.print_text("\n".join(steps))
        return
    for step in steps:
        session.say(step)
    session.confirm(f"Take over the cron job {name}?", flag="--yes", given=yes)
    with session.progress("taking the job over") as say:
        reporter = Reporter(session.say_done, say)
        takeover.prepare(configuration, reporter)
        answers = adopting.adopt(configuration, adoption, reporter)
    with connect(configuration.target.database_url) as connection:
        waiting = registry.taken(connection, configuration.settings, undeclared.declared_jobs(configuration))
    if session.is_json:
        session.print_json({"job": name, "steps": steps, "answers": answers})
    elif answers:
        as_calls.table(answers, session.out)
    session.say(f"next: autosync-db jobs adopt {waiting[0]}" if waiting else "next: autosync-db verify")


def _given(
    session: Session, name: str, project_url: str | None, key_file: str | None, key_variable: str | None
) -> "dict[str, Secret]":
    """Return what was named for a job, judged by its form. Raises UsageError for what its calls do not carry."""
    from autosync_db.setup import decision
    from autosync_db.setup.decision import Given

    named = key_file is not None or key_variable is not None
    key = secret_input.service_key(session, key_file, key_variable) if named else None
    job = session.configuration.settings.jobs.get(name)
    if job is not None and ((named and not job.sends_service_key) or (project_url and job.kind != "function")):
        what = "service key" if named and not job.sends_service_key else "address of the project"
        raise UsageError(f"the calls of {name} have no use for the {what}", hint="leave that option out")
    secret = key.key if key else None
    decision.validate(project_url, secret, session.configuration)
    return Given(project_url, secret).secrets


def _release(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the job.", metavar="NAME", autocompletion=completion.jobs)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print what would be run; change nothing.")] = False,
) -> None:
    """Restore a job that was taken over: its own text, schedule and name, as they were.

    A secret that was in the text is then read from the store. Stored secrets stay.
    """
    from autosync_db.connection import connect
    from autosync_db.setup import releasing

    with connect(session.configuration.target.database_url) as connection:
        if dry_run:
            session.print_text(releasing.kept_undo(connection, name))
            return
        releasing.require_adopted(connection, name)
        session.confirm(f"Restore the own text of the job {name}?", flag="--yes", given=yes)
        released = releasing.release(connection, name)
    if session.is_json:
        session.print_json(released)
        return
    for sentence in released.said:
        session.say(sentence)
    session.say(f"to leave it alone, set in autosync.toml: [jobs.{name}] watch = true")


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
        said.append("there are no cron jobs other than those of autosync-db")
    if found.skipped:
        said.append(f"already jobs of autosync-db: {', '.join(found.skipped)}")
    if found.hides_others:
        said.append("jobs of other roles are hidden from this role; there may be more")
    if added is not None:
        said.append(f"added {', '.join(one.name for one in added)}" if added else "nothing to add: all are in the file")
    for name, job in {take.name: one.name for one in found.jobs for take in one.takes}.items():
        said.append(f"the secret {name} is stored by: autosync-db jobs adopt {job}")
    adoptable = [one for one in found.jobs if one.table is not None and "watch" not in one.table]
    if added is not None and adoptable:
        first = adoptable[0]
        number = "" if first.job.name == first.name else f" --from {first.job.id}"
        said.append(f"next: autosync-db jobs adopt {first.name}{number}")
    return said
