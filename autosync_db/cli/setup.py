"""`init`, `setup` and `status`: one project from nothing to a healthy chain."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli import app, secret_input
from autosync_db.cli.console import Ending, Session
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode, SecretError, UsageError
from autosync_db.secret import Secret

KEY_VARIABLE = "SUPABASE_SERVICE_ROLE_KEY"


@command(app, "init")
def _init(
    session: Session,
    project_ref: Annotated[
        str | None, typer.Option(help="Ref of the Supabase project, for the target `production`.")
    ] = None,
    path: Annotated[Path, typer.Option("--path", help="File to write.")] = Path("autosync.toml"),
    force: Annotated[bool, typer.Option("--force", help="Overwrite the file.")] = False,
) -> None:
    """Write autosync.toml with every setting at its default."""
    from autosync_db import scaffold
    from autosync_db.supabase import address as project

    if project_ref is None and sys.stdin.isatty():
        project_ref = typer.prompt("Project ref (empty: fill in later)", default="", show_default=False, err=True)
    if project_ref:
        project.url_of(project_ref)
    scaffold.write_settings(path, project_ref or None, force=force)
    session.say(f"wrote {path}; next: autosync-db setup --target production")


@command(app, "setup")
def _setup(
    session: Session,
    project_url: Annotated[str | None, typer.Option(help="The project's address, https://HOST.")] = None,
    project_ref: Annotated[str | None, typer.Option(help="The project's ref, instead of its address.")] = None,
    service_role_key_file: Annotated[
        str | None,
        typer.Option(help="File that holds the service key; - reads standard input.", metavar="PATH"),
    ] = None,
    service_role_key_env: Annotated[
        str | None,
        typer.Option(help=f"Environment variable that holds the service key [default: {KEY_VARIABLE}].", metavar="VAR"),
    ] = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Make no call; health is then not proven.")] = False,
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Bind this database to the project, whatever it was bound to before.")
    ] = False,
    cron_secret_file: Annotated[
        str | None,
        typer.Option(
            help='With [function] auth = "cron_secret": file of one that the function knows already; - reads standard'
            " input. Else one is made.",
            metavar="PATH",
        ),
    ] = None,
) -> None:
    """Set a project up, once: migrate, store the secrets, schedule the job, make a real call, verify.

    Safe to repeat: a second run changes nothing. The service key is never taken from the command line.
    """
    from autosync_db import progress
    from autosync_db.cli.verify import show
    from autosync_db.connection import connect
    from autosync_db.health import verify
    from autosync_db.setup import run
    from autosync_db.supabase import address as project

    if project_url is not None and project_ref is not None:
        raise UsageError("--project-url and --project-ref exclude each other", hint="pass one of them")
    configuration = session.configuration
    if project_ref is not None:
        project_url = project.url_of(project_ref)
    # an empty flag, as an unset variable of a CI job leaves it, is a mistake and not an absent one
    address = configuration.target.project_url if project_url is None else project_url
    own_secret = secret_input.read(cron_secret_file, "cron secret") if cron_secret_file is not None else None
    is_by_key = configuration.settings.function.auth == "service_key"
    if own_secret is not None and is_by_key:
        raise UsageError(
            "the function knows its caller by the service key, not by a cron secret",
            hint='choose [function] auth = "cron_secret" in autosync.toml',
        )
    key = _service_key(session, service_role_key_file, service_role_key_env) if is_by_key else None
    run.validate(address, key, configuration)

    steps: list[progress.Step] = []
    Ending.unread = ExitCode.BUG

    with session.progress("connecting") as say:

        def done(step: progress.Step) -> None:
            steps.append(step)
            if not session.is_json:
                session.say(f"{'*' if step.changed else '='} {step.name:<8} {step.result}")

        run.run(
            configuration,
            address,
            key,
            wait=not no_wait,
            reporter=progress.Reporter(done, say),
            rebind=rebind,
            own_secret=own_secret,
        )
        say("verifying")
        with connect(configuration.target.database_url) as connection:
            report = verify.run(connection, configuration)
    code = ExitCode.OK if no_wait else report.exit_code()
    if any(step.name == "next" for step in steps):
        code = ExitCode.CHECK_FAILED  # what the settings say is not so yet
    Ending.unread = code
    if session.is_json:
        from autosync_db.report import as_json

        session.print_json({"steps": steps, "verify": as_json.report(report)})
    else:
        show(session, report, as_json=False)
    raise typer.Exit(code)


@command(app, "status")
def _status(session: Session) -> None:
    """Show one screen: revision, job, last tick and its real outcome, next tick, schedules due and overdue."""
    from autosync_db import status
    from autosync_db.connection import connect
    from autosync_db.report import as_text

    with connect(session.configuration.target.database_url) as connection:
        found = status.collect(connection, session.configuration.settings.job.name)
    if session.is_json:
        session.print_json(found)
        return
    now = datetime.now(UTC)
    as_text.table(("", ""), status.describe(found, now), session.out)


def _service_key(session: Session, path: str | None, variable: str | None) -> Secret | None:
    """Return the service key from the file, standard input, the environment, the target, or a hidden prompt."""
    from autosync_db import config

    if path is not None:
        return secret_input.read(path, "service key")
    if (found := config.environment_secret(variable or KEY_VARIABLE)) is not None:
        return found
    if variable is not None:
        raise SecretError(
            f"the variable {variable} is not set or empty", hint=f"export {variable}=... with the service key"
        )
    if (file := session.configuration.target.service_role_key_file) is not None:
        return secret_input.read(str(file), "service key")
    if sys.stdin.isatty():
        entered = typer.prompt(
            "Service key (empty: keep the stored one)",
            default="",
            hide_input=True,
            show_default=False,
            err=True,
        )
        return Secret(entered.strip()) if entered.strip() else None
    return None
