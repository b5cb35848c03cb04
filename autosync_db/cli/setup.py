"""`setup`: one project from nothing to a healthy chain."""

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.ending import Run
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode, SecretError, UnreachableError, UsageError
from autosync_db.secret import Secret

if TYPE_CHECKING:
    from autosync_db.config import Configuration
    from autosync_db.health.model import Report
    from autosync_db.supabase.stack import Stack

app = typer.Typer(add_completion=False)

_CronSecretFile = Annotated[
    str | None,
    typer.Option(
        help='With auth = "cron_secret" (for [job] of [function]): file with the one that the function already has;'
        " - reads standard input. Without it one is made.",
        metavar="PATH",
    ),
]


@command(app, "setup")
def _setup(
    session: Session,
    project_url: Annotated[str | None, typer.Option(help="The project's address, https://HOST.")] = None,
    project_ref: Annotated[str | None, typer.Option(help="The project's ref, instead of its address.")] = None,
    service_role_key_file: secret_input.KeyFile = None,
    service_role_key_env: secret_input.KeyVariable = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Make no call; the result is then not verified.")] = False,
    rebind: Annotated[
        bool, typer.Option("--rebind", help="Bind this database to the project, whatever it was bound to before.")
    ] = False,
    cron_secret_file: _CronSecretFile = None,
) -> None:
    """Set a project up, once: migrate, store the secrets, schedule the job, make a real call, verify.

    Safe to repeat: a second run changes nothing. The service key is never taken from the command line.
    """
    from autosync_db.progress import Reporter, Step
    from autosync_db.report import as_json
    from autosync_db.setup import decision, run
    from autosync_db.setup.decision import Given

    configuration = session.configuration
    address = _address(session, project_url, project_ref)
    own_secret = secret_input.read(cron_secret_file, "cron secret") if cron_secret_file is not None else None
    credentials = {job.auth for job in configuration.settings.jobs.values() if job.kind == "function"}
    if own_secret is not None and "cron_secret" not in credentials:
        raise UsageError(
            "the function is called with the service key, not with a cron secret",
            hint='choose auth = "cron_secret" for the job in autosync.toml',
        )
    is_by_key = "service_key" in credentials
    if address is None and configuration.target.stack is not None:
        address = _gateway(session, configuration.target.stack)
    key = _service_key(session, service_role_key_file, service_role_key_env) if is_by_key else None
    decision.validate(address, key, configuration)

    steps: list[Step] = []
    Run.code_if_unread = ExitCode.BUG
    with session.progress("connecting") as say:

        def done(step: Step) -> None:
            steps.append(replace(step, result=configuration.aim.at(step.result)))
            session.say_done(step)

        given = Given(address, key, own_secret, wait=not no_wait, rebind=rebind)
        run.run(configuration, given, Reporter(done, say))
        say("verifying")
        report, untried, unnamed = _verify(configuration)
    _say_of(session, untried, unnamed)
    code = ExitCode.OK if no_wait else report.exit_code()
    if any(step.name == "next" for step in steps):
        code = ExitCode.CHECK_FAILED  # the settings are not active yet
    Run.code_if_unread = code
    if session.is_json:
        session.print_json({"steps": steps, "verify": as_json.report(report)})
    else:
        session.print_report(report)
    raise typer.Exit(code)


def _say_of(session: Session, untried: list[str], unnamed: list[str]) -> None:
    for name in untried:
        session.say(f"{name} has made no call yet; make one with: autosync-db jobs trigger {name}")
    for name in unnamed:
        # as after a job has another name in the file: both would run
        session.say(f"{name} is not in the file and runs on; remove it with: autosync-db jobs remove {name}")


def _verify(configuration: "Configuration") -> "tuple[Report, list[str], list[str]]":
    """Return the report on the jobs that setup speaks for, those whose first call is to come, and those unnamed.

    A new job beside the main one makes its first call when its time comes: setup calls nobody's function unasked.
    """
    from autosync_db.connection import connect
    from autosync_db.health import status, verify
    from autosync_db.jobs import plan, registry

    with connect(configuration.target.database_url) as connection:
        unnamed = plan.not_in_the_file(connection, configuration.settings)
        settings = registry.registered(connection, configuration.settings)
        jobs = status.of_jobs(connection, settings.jobs)
        untried = [
            one.job.name
            for one in jobs
            if one.job.makes_calls and one.last_call is None and one.job.name != settings.main.name
        ]
        judged = [name for name in settings.jobs if name not in untried]
        return verify.run(connection, configuration, jobs=judged if untried else ()), untried, unnamed


def _address(session: Session, url: str | None, ref: str | None) -> str | None:
    """Return the project's address from the flags, else from the target."""
    from autosync_db.supabase import address

    if url is not None and ref is not None:
        raise UsageError("--project-url and --project-ref exclude each other", hint="pass one of them")
    if ref is not None:
        return address.url_of(ref)
    # an empty flag, as an unset variable of a CI job leaves it, is a mistake and not an absent one
    if url is not None:
        return url
    target = session.configuration.target
    if session.target is None and target.project_url is not None:
        session.say(f"target {target.name}: {target.project_url}")
    return target.project_url


def _gateway(session: Session, stack: "Stack") -> str:
    """Return the address at which the database of `supabase start` reaches its gateway."""
    from autosync_db.connection import connect
    from autosync_db.setup import gateway

    with session.progress("connecting") as say, ExitStack() as opened:
        try:
            connection = opened.enter_context(connect(session.configuration.target.database_url))
        except UnreachableError as error:
            raise UnreachableError(error.message, hint=f"{error.hint}; supabase start starts it") from None
        found = gateway.find(connection, stack, say)
    session.say(f"the database reaches the gateway at {found}")
    return found


def _key_of(session: Session, stack: "Stack") -> Secret | None:
    """Return the service key of `supabase start` that its function accepts, else the first, None where none is known.

    Which one the gateway lets through varies by the version of the CLI, so that only a call can say it.
    """
    from autosync_db import config
    from autosync_db.supabase import function
    from autosync_db.supabase import key as keys

    with session.progress("asking the Supabase CLI for the key"):
        found = stack.keys(config.environment_of_children())
    job = session.configuration.settings.main
    if job.function is None:
        return next(iter(found), None)
    for one in found:
        try:
            finding = function.preflight(stack.url, job.function, keys.headers(one), job.timeout)
        except SecretError:
            break  # it cannot be called from here
        if finding.verdict is function.Verdict.ACCEPTED:
            return one
    return next(iter(found), None)


def _service_key(session: Session, path: str | None, variable: str | None) -> Secret | None:
    """Return the service key that is at hand, or else from a hidden prompt."""
    stack = session.configuration.target.stack
    # a variable is rather the hosted project's than that of a stack that says its own
    if path is None and variable is None and stack is not None and (own := _key_of(session, stack)) is not None:
        return own
    if (found := secret_input.service_key(session, path, variable)) is not None:
        return found.key
    if session.can_ask:
        entered = session.ask("Service key (empty: keep the stored one)", default="", hidden=True)
        return Secret(entered) if entered else None
    return None
