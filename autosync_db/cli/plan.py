"""`plan`: the difference between autosync.toml and the database."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import AutosyncError, ExitCode, UsageError

if TYPE_CHECKING:
    from autosync_db.connection import Connection
    from autosync_db.jobs.binding import Inherited
    from autosync_db.jobs.plan import Change, Difference
    from autosync_db.jobs.undeclared import Undeclared

app = typer.Typer(add_completion=False)
_LONGEST = 60


@command(app, "plan")
def _plan(
    session: Session,
    check: Annotated[bool, typer.Option("--check", help="Exit 5 if anything differs.")] = False,
    prune: Annotated[
        bool,
        typer.Option(
            "--prune",
            help="Remove the jobs that are not in autosync.toml, and restore adopted ones; asks first.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --prune: do not ask.")] = False,
) -> None:
    """Show what setup would change: jobs to create, change or pause, and jobs that are not in the file.

    Changes nothing, except with --prune. `setup` makes the database match the file, and keeps jobs that are not in it.
    If setup would refuse, for example because another cron job has the name, this is an error: exit 5, or 2 for a
    schedule. Declarative schemas of the Supabase CLI that would unschedule the jobs are reported as a warning.
    """
    from autosync_db.connection import connect
    from autosync_db.jobs import plan, undeclared
    from autosync_db.setup import refusals

    settings, target = session.configuration.settings, session.configuration.target
    declared = undeclared.declared_jobs(session.configuration)
    with connect(target.database_url) as connection:
        copy = session.say_copy(connection)
        # what setup would do it refuses to a copy
        found = [] if copy else plan.read(connection, settings, target, declared)
        refused = [] if copy else refusals.read(connection, session.configuration)
        extra = [one.job for one in found if one.action == "not in the file" and one.job]
        if prune and extra:
            _prune(session, connection, extra, yes=yes)
            found = plan.read(connection, settings, target, declared)
        session.look(connection)
    lacking = _undeclared(session)
    _print(session, found, refused, lacking, copy)
    if lacking:
        session.say(f"warning: {lacking.folder} has declarative schemas that do not keep the jobs: {lacking.sentence}")
        session.say("write them with: autosync-db export supabase --schemas")
    for one in refused[1:]:
        session.say(f"refused, too: {one.message}")
    if refused:
        raise refused[0]
    if check and copy and (copy.came_back or not copy.is_silent):
        raise typer.Exit(ExitCode.MIGRATION)
    if any(one.action != "not in the file" for one in found):
        session.say("next: autosync-db setup")
    if check and found:
        raise typer.Exit(ExitCode.MIGRATION)


def _prune(session: Session, connection: "Connection", names: list[str], *, yes: bool) -> None:
    """Remove jobs, and give those back that were taken over."""
    from autosync_db.setup import releasing

    theirs = releasing.adopted(connection, names)
    own = [name for name in names if name not in theirs]
    what = [f"Remove the jobs {', '.join(own)}?"] if own else []
    if theirs:
        what.append(f"Restore the own text of the jobs {', '.join(theirs)}?")
    session.confirm(" ".join(what), flag="--yes", given=yes)
    with connection.transaction():
        said = [sentence for name in [*theirs, *own] for sentence in releasing.remove(connection, name)]
    for sentence in said:
        session.say(sentence)


def _undeclared(session: Session) -> "Undeclared | None":
    from autosync_db.jobs import undeclared

    try:
        return undeclared.look(session.configuration)
    except UsageError as error:
        session.say(f"the declarative schemas could not be read: {error.message}")
        return None


def _print(
    session: Session,
    found: "list[Difference]",
    refused: "list[AutosyncError]",
    lacking: "Undeclared | None",
    copy: "Inherited | None",
) -> None:
    from autosync_db.health.findings import Status
    from autosync_db.report import screen
    from autosync_db.report.screen import Cell, Column

    elsewhere = {name: job.targets for name, job in session.configuration.settings.elsewhere.items()}
    if session.is_json:
        said = [{"message": one.message, "hint": one.hint} for one in refused]
        session.print_json(
            {
                "differences": found,
                "refused": said,
                "undeclared": lacking,
                "inherited": copy,
                "elsewhere": elsewhere,
            }
        )
        return
    for name, targets in elsewhere.items():
        session.say(f"not here: {name} runs on {', '.join(targets or [])}")
    if session.configuration.settings.kept_here:
        session.say("no target is chosen, so existing ones are left as they are; choose one with --target")
    if copy or (refused and not found):
        return
    if not found:
        session.nothing("nothing to do: the database matches the settings", next="autosync-db status")
        return
    rows: list[tuple[object, ...]] = []
    for one in found:
        subject = one.job or f"[{one.table}]"
        # of a new job, what is not as usual would be lost among the defaults
        changes = [change for change in one.changes if one.action != "create" or _tells(change)]
        action = Cell(one.action, status=Status.CRITICAL if one.action == "taken" else Status.WARNING)
        rows += [(subject, action, change.name, _shown(change.database), _shown(change.file)) for change in changes]
        if not changes:
            rows.append((subject, action, "", "", ""))
    session.head(of_rows=True)
    columns = [
        Column("job"),
        Column("action"),
        Column("what", leaves=1),
        Column("database", wraps=True, leaves=2),
        Column("file", wraps=True, leaves=2),
    ]
    screen.table(columns, rows, session.out)
    if any(one.action == "not in the file" for one in found):
        session.say("not in the file: kept; --prune removes them, jobs remove NAME removes one")


_TELLING = {"function", "url", "sql", "watch", "schedule"}


def _tells(change: "Change") -> bool:
    """Return whether a row of a new job is worth a line."""
    return change.name in _TELLING and change.file not in (None, False)


def _shown(value: Any) -> str:
    from autosync_db.report import as_json

    if value is None or value is False:
        return ""
    # what the database has may be somebody's own statement
    value = as_json.masked(value)
    text = value if isinstance(value, str) else as_json.line(value)
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
