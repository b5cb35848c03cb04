"""`init`, `setup` and `status`: one project from nothing to a healthy chain."""

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from autosync_db.cli import app
from autosync_db.cli.console import Session
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
    from autosync_db import project, scaffold

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
) -> None:
    """Set a project up, once: migrate, store the secrets, schedule the job, make a real call, verify.

    Safe to repeat: a second run changes nothing. The service key is never taken from the command line.
    """
    from autosync_db import project, setup
    from autosync_db.checks import runner
    from autosync_db.cli import verification
    from autosync_db.connection import connect

    if project_url is not None and project_ref is not None:
        raise UsageError("--project-url and --project-ref exclude each other", hint="pass one of them")
    configuration = session.configuration
    if project_ref is not None:
        project_url = project.url_of(project_ref)
    # an empty flag, as an unset variable of a CI job leaves it, is a mistake and not an absent one
    address = configuration.target.project_url if project_url is None else project_url
    key = _service_key(session, service_role_key_file, service_role_key_env)
    setup.validate(address, key, configuration)

    steps: list[setup.Step] = []

    with session.progress("connecting") as say:

        def done(step: setup.Step) -> None:
            steps.append(step)
            if not session.is_json:
                session.say(f"{'*' if step.changed else '='} {step.name:<8} {step.result}")

        setup.run(configuration, address, key, wait=not no_wait, reporter=setup.Reporter(done, say))
        say("verifying")
        with connect(configuration.target.database_url) as connection:
            report = runner.run(connection, configuration)
    if session.is_json:
        from autosync_db.report import as_json

        session.print_json({"steps": steps, "verify": as_json.report(report)})
    else:
        verification.show(session, report, as_json=False)
    raise typer.Exit(ExitCode.OK if no_wait else verification.exit_code(report))


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
        return _read_key(path)
    if (found := config.environment_secret(variable or KEY_VARIABLE)) is not None:
        return found
    if variable is not None:
        raise SecretError(
            f"the variable {variable} is not set or empty", hint=f"export {variable}=... with the service key"
        )
    if (file := session.configuration.target.service_role_key_file) is not None:
        return _read_key(str(file))
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


def _read_key(path: str) -> Secret:
    try:
        # a file and a pipe end in a line break that is not part of the key
        return Secret((sys.stdin.read() if path == "-" else Path(path).read_text(encoding="utf-8")).strip())
    except OSError as error:
        raise SecretError(
            f"cannot read the service key from {path}: {error.strerror}", hint="check path and permissions"
        ) from None
    except UnicodeDecodeError:
        raise SecretError(f"{path} is not a text file", hint="pass the file that holds the key alone") from None
