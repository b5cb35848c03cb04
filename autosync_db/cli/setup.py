"""`setup`: one project from nothing to a healthy chain."""

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.ending import Run
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode, UnreachableError, UsageError
from autosync_db.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable

    from autosync_db.config import Configuration
    from autosync_db.health.model import Report
    from autosync_db.progress import Step
    from autosync_db.setup.decision import Given
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

    Safe to repeat: a second run changes nothing. The service key is never taken from the command line. Where
    SUPABASE_ACCESS_TOKEN is set, a key that is neither given nor stored is read from the project, and functions that
    are not deployed are named before they are called.
    """
    from autosync_db.progress import Reporter, Step
    from autosync_db.report import as_json
    from autosync_db.setup import decision, run
    from autosync_db.setup.decision import Given

    configuration = session.configuration
    address = _address(session, project_url, project_ref)
    credentials = {job.auth for job in configuration.settings.jobs.values() if job.kind == "function"}
    own_secret = _own_secret(cron_secret_file, "cron_secret" in credentials)
    is_by_key = "service_key" in credentials
    if address is None and configuration.target.stack is not None:
        address = _gateway(session, configuration.target.stack)
    key = _key_at_hand(session, service_role_key_file, service_role_key_env) if is_by_key else None
    given = Given(address, key, own_secret, wait=not no_wait, rebind=rebind)
    decision.validate(address, key, configuration)
    steps: list[Step] = []

    def done(step: Step) -> None:
        steps.append(replace(step, result=configuration.aim.at(step.result)))
        session.say_done(step)

    given = _completed(session, given, done, wants_key=is_by_key and key is None)
    Run.code_if_unread = ExitCode.BUG
    with session.progress("connecting") as say:
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


def _completed(session: Session, given: "Given", done: "Callable[[Step], None]", *, wants_key: bool) -> "Given":
    """Return what was given, with the key from the platform or a prompt; `done` gets what the platform said."""
    from autosync_db.setup import decision, platform

    seen = platform.look(session.configuration, given)
    for step in seen.steps:
        done(step)
    if not wants_key:
        return given
    key = seen.service_key or _asked_key(session)
    decision.validate(given.project_url, key, session.configuration)
    return replace(given, service_key=key)


def _own_secret(path: str | None, is_used: bool) -> Secret | None:
    """Return the cron secret that the function has already. Raises UsageError where no call would carry it."""
    if path is None:
        return None
    found = secret_input.read(path, "cron secret")
    if not is_used:
        raise UsageError(
            "the function is called with the service key, not with a cron secret",
            hint='choose auth = "cron_secret" for the job in autosync.toml',
        )
    return found


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
        except UnreachableError:
            break  # it cannot be called from here
        if finding.verdict is function.Verdict.ACCEPTED:
            return one
    return next(iter(found), None)


def _key_at_hand(session: Session, path: str | None, variable: str | None) -> Secret | None:
    """Return the service key that somebody named or that is at hand, None where none is."""
    stack = session.configuration.target.stack
    # a variable is rather the hosted project's than that of a stack that says its own
    if path is None and variable is None and stack is not None and (own := _key_of(session, stack)) is not None:
        return own
    found = secret_input.service_key(session, path, variable)
    return found.key if found is not None else None


def _asked_key(session: Session) -> Secret | None:
    """Return the service key from a hidden prompt, None where nobody can be asked or it is to stay."""
    entered = (
        session.ask("Service key (empty: keep the stored one)", default="", hidden=True) if session.can_ask else ""
    )
    return Secret(entered) if entered else None
