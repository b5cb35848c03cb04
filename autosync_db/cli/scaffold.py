"""`scaffold ...`: files for the user's own repository."""

from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group

if TYPE_CHECKING:
    from autosync_db.supabase.function_settings import Change

app = group()

_JOB = """\
add to autosync.toml, then run autosync-db setup:
[jobs.{name}]
function = "{name}"
schedule = "0 6 * * *\""""


class Kind(StrEnum):
    """For which CI system."""

    GITHUB = "github"
    SHELL = "shell"


@command(app, "function")
def _function(
    session: Session,
    plain: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Write one function for a job of your own instead.", show_default=False),
    ] = None,
    directory: Annotated[Path, typer.Option("--dir", help="Folder of the Edge Functions.")] = Path(
        "supabase/functions"
    ),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Change supabase/config.toml without asking.")] = False,
) -> None:
    """Write the Edge Functions auto-sync-cron and, as a sample, device-sync; or a plain one for another job.

    A plain function checks its caller and answers in the form that verify understands; you write its work.
    Existing files that differ are not touched without --force. supabase/config.toml gets the functions'
    entries, so that deploys leave authentication to the functions; the change is shown first.
    """
    from autosync_db import scaffold

    names = scaffold.SHIPPED if plain is None else (plain,)
    if plain is not None:
        scaffold.check_function_name(plain)
    change = scaffold.function_settings(directory, names)
    is_agreed = change is None or change.before is None or _agrees(session, change, yes=yes)
    if plain is None:
        written = scaffold.write_functions(directory, with_sections=not scaffold.is_of_project(directory), force=force)
    else:
        written = scaffold.write_plain_function(directory, plain, force=force)
    if change is not None and is_agreed:
        scaffold.write_change(change)
        written.append(change.path)
    if session.is_json:
        session.print_json({"written": [str(path) for path in written]})
    for path in written:
        session.say(f"wrote {path}")
    if not written and is_agreed:
        session.say(f"nothing to do: {directory} already has these files")
        return
    has_entries = is_agreed and scaffold.is_of_project(directory)
    for number, step in enumerate(_next(directory, plain, names, has_entries=has_entries), start=1):
        session.say(("next:\n" if number == 1 else "") + f"{number}. {step}")


def _agrees(session: Session, change: "Change", *, yes: bool) -> bool:
    """Show a change of the user's file, and return whether it is to be made. Raises UsageError if nobody can say."""
    session.say(change.diff)
    if yes:
        return True
    if not session.can_ask:
        session.confirm(f"Change {change.path}?", flag="--yes", given=False)
    return session.agrees(f"Change {change.path}?")


def _next(directory: Path, plain: str | None, names: Sequence[str], *, has_entries: bool) -> Iterator[str]:
    """Yield what is left to do, a step each."""
    from autosync_db.supabase import function_settings

    yield f"put your {'sync' if plain is None else 'work'} into {directory}/{plain or 'device-sync'}/index.ts"
    if not has_entries:
        entries = function_settings.sections(names).rstrip()
        yield f"add to supabase/config.toml, or deploy with --no-verify-jwt:\n{entries}"
    yield f"supabase functions deploy {' '.join(names)}"
    if plain is not None:
        yield _JOB.format(name=plain)


@command(app, "workflow")
def _workflow(
    session: Session,
    kind: Annotated[
        Kind, typer.Option(help="GitHub Actions, or a shell script for any other CI system.")
    ] = Kind.GITHUB,
    path: Annotated[
        Path | None,
        typer.Option(help="File to write.", show_default=".github/workflows/autosync-db.yml or ci/autosync-db.sh"),
    ] = None,
    branch: Annotated[str, typer.Option(help="Branch whose pushes migrate.")] = "main",
    secret: Annotated[
        str | None,
        typer.Option(
            help="Name of the CI secret with the database's address [default: the variable that the target reads].",
            show_default=False,
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite a file that differs.")] = False,
) -> None:
    """Write a CI workflow: check pull requests, migrate and verify the main branch, verify and audit on a timer.

    It is written for the targets of autosync.toml, or the one that --target names, with the variables that they
    use. An existing file that differs is not touched without --force.
    """
    from autosync_db import config
    from autosync_db.scaffold import workflow

    settings, source = config.read(session.flags)
    target = config.target_name(session.flags)
    done = workflow.write_workflow(
        kind.value, settings, source, path=path, branch=branch, target=target, secret=secret, force=force
    )
    if session.is_json:
        secrets = [access.secret for access in done.accesses]
        session.print_json({"written": [str(done.path)] if done.is_written else [], "secrets": secrets})
    if not done.is_written:
        session.say(f"nothing to do: {done.path} is up to date")
        return
    session.say(f"wrote {done.path}; next: add to the CI system's secrets:")
    for access in done.accesses:
        what = "the password of the database" if access.variable == "PGPASSWORD" else "the database's address"
        session.say(f"  {access.secret}: {what}" + (f" of the target {access.target}" if access.target else ""))
        if access.key:
            session.say(f"  {access.key}: its service key, unless it is set up already")


@command(app, "monitoring")
def _monitoring(
    session: Session,
    directory: Annotated[Path, typer.Option("--dir", help="Folder to write into.")] = Path("monitoring"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite files that differ.")] = False,
) -> None:
    """Write alerting rules for Prometheus, a dashboard for Grafana, and a timer that writes the data for both.

    They are written for the targets of autosync.toml, or the one that --target names. The timer lets a node exporter
    read what verify finds and what the jobs did. Existing files that differ are not touched without --force.
    """
    from autosync_db import config
    from autosync_db.scaffold import monitoring

    settings, source = config.read(session.flags)
    target = config.target_name(session.flags)
    done = monitoring.write_kit(settings, source, directory, target=target, force=force)
    if session.is_json:
        targets = [exporter.label for exporter in done.exporters]
        session.print_json({"written": [str(path) for path in done.written], "targets": targets})
    for path in done.written:
        session.say(f"wrote {path}")
    if not done.written:
        session.say(f"nothing to do: {directory} already has these files")
        return
    units = ", ".join(f"{exporter.unit}.service" for exporter in done.exporters)
    for number, step in enumerate(
        (
            f"on the machine of the node exporter, as the comments of {units} say: user, program, secret, timer",
            f"on the machine of Prometheus: name {monitoring.RULES} in rule_files",
            f"in Grafana: Dashboards > New > Import, {monitoring.DASHBOARD}",
        ),
        start=1,
    ):
        session.say(("next:\n" if number == 1 else "") + f"{number}. {step}")
    session.say("more: autosync-db explain monitoring")
