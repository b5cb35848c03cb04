"""`setup`: one project from nothing to a healthy chain."""

import shlex
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import secret_input
from autosync_db.cli.checklist import Checklist
from autosync_db.cli.console import Session
from autosync_db.cli.ending import Run
from autosync_db.cli.options import command
from autosync_db.errors import AutosyncError, ExitCode, StoppedError, UnreachableError, UsageError
from autosync_db.progress import Step
from autosync_db.secret import Secret

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from autosync_db.config import Configuration
    from autosync_db.health.outcome import Outcome
    from autosync_db.setup.decision import Given
    from autosync_db.supabase.stack import Stack

_STEPS = ("database", "migrate", "secrets", "job", "call", "verify")
app = typer.Typer(add_completion=False)

_CronSecretFile = Annotated[
    str | None,
    typer.Option(
        help='With auth = "cron_secret" (or [function]): file with the secret that the function already has;'
        " - reads standard input. Without it a secret is made.",
        metavar="PATH",
    ),
]


@dataclass(frozen=True, slots=True)
class _Typed:
    """The flags that say which project it is, and where its key is."""

    url: str | None
    ref: str | None
    key_file: str | None
    key_variable: str | None
    rebind: bool

    @property
    def command(self) -> str:
        """The command with these flags; the others say nothing of the project."""
        named = {
            "--project-url": self.url, "--project-ref": self.ref,
            "--service-role-key-file": self.key_file, "--service-role-key-env": self.key_variable,
        }  # fmt: skip
        words = [word for flag, value in named.items() if value for word in (flag, shlex.quote(value))]
        return " ".join(["autosync-db setup", *words, *(["--rebind"] if self.rebind else [])])


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
    """Set up a project: migrate, store the secrets, schedule the job, make a real call, verify.

    Safe to repeat: a second run changes nothing. The service key is never taken from the command line. If
    SUPABASE_ACCESS_TOKEN is set, a key that is neither passed nor stored is read from the project, and functions that
    are not deployed are reported before they are called.
    """
    from autosync_db.setup import run

    configuration = session.configuration
    checklist = Checklist(session, _STEPS, configuration.aim.at)
    typed = _Typed(project_url, project_ref, service_role_key_file, service_role_key_env, rebind)
    with _how_it_stands(session, checklist, typed.command) as note, checklist.open():
        given = _given(session, checklist, typed)
        given = replace(given, cron_secret=_own_secret(session, cron_secret_file), wait=not no_wait, rebind=rebind)
        given = _completed(session, given, checklist)
        note(given)
        Run.code_if_unread = ExitCode.BUG
        run.run(configuration, given, checklist.reporter)
        outcome = _verify(configuration, checklist)
    _finish(session, checklist, outcome, is_verified=not no_wait)


def _given(session: Session, checklist: Checklist, typed: _Typed) -> "Given":
    """Return the address and the key that somebody named or that are at hand, judged by their form."""
    from autosync_db.setup import decision
    from autosync_db.setup.decision import Given

    configuration = session.configuration
    address = _address(session, typed.url, typed.ref)
    if address is None and configuration.target.stack is not None:
        address = _gateway(session, configuration.target.stack, checklist)
    is_by_key = _is_by_key(configuration)
    if not is_by_key and (typed.key_file is not None or typed.key_variable is not None):
        checklist.done(Step("warning", "the given service key is not stored: no job of the settings sends it", False))
    key = _key_at_hand(session, checklist, typed.key_file, typed.key_variable) if is_by_key else None
    decision.validate(address, key, configuration)
    return Given(address, key)


def _is_by_key(configuration: "Configuration") -> bool:
    return any(job.sends_service_key for job in configuration.settings.jobs.values())


def _completed(session: Session, given: "Given", checklist: Checklist) -> "Given":
    """Return what was given, with the key from the platform or a prompt, and list what the platform said."""
    from autosync_db.connection.url import parameters
    from autosync_db.setup import decision, platform

    seen = platform.look(session.configuration, given)
    for step in seen.steps:
        checklist.done(step)
    if given.service_key is not None or not _is_by_key(session.configuration):
        return given
    # nobody is asked for a key that there is no database for
    parameters(session.configuration.target.database_url)
    key = seen.service_key or _asked_key(session)
    decision.validate(given.project_url, key, session.configuration)
    return replace(given, service_key=key)


def _own_secret(session: Session, path: str | None) -> Secret | None:
    """Return the cron secret that the function has already. Raises UsageError where no call would carry it."""
    if path is None:
        return None
    found = secret_input.read(path, "cron secret")
    jobs = session.configuration.settings.jobs.values()
    if not any(job.kind == "function" and job.auth == "cron_secret" for job in jobs):
        raise UsageError(
            "the function is called with the service key, not with a cron secret",
            hint='choose auth = "cron_secret" for the job in autosync.toml',
        )
    return found


@contextmanager
def _how_it_stands(session: Session, checklist: Checklist, again: str) -> "Iterator[Callable[[Given], None]]":
    """Say to whoever stops the block what is active then, and the command that goes on.

    The yielded function takes note of what was given.
    """
    given: Given | None = None

    def note(found: "Given") -> None:
        nonlocal given
        given = found

    try:
        yield note
    except (KeyboardInterrupt, typer.Abort, StoppedError):
        # a copy that is to leave its source is silenced first
        if given is None or ("database" not in checklist.ended and not given.rebind):
            is_hosted = session.configuration.target.stack is None
            nothing = (
                "nothing was changed" if is_hosted else "nothing was set up; the extension pg_net may have been made"
            )
            raise StoppedError(f"interrupted; {nothing}", hint=f"begin again with: {again}") from None
        raise _stopped(session, given, again) from None


def _stopped(session: Session, given: "Given", again: str) -> StoppedError:
    from autosync_db.setup import standing

    try:
        found = standing.look(session.configuration, given.secrets)
    except (AutosyncError, KeyboardInterrupt) as failure:
        why = failure.message if isinstance(failure, AutosyncError) else "interrupted again"
        return StoppedError(
            f"interrupted; what is active could not be looked up: {why}", hint="see it with: autosync-db status"
        )
    # what is stored need not be given again
    command = "autosync-db setup" if found.has(given.secrets) else again
    return StoppedError(f"interrupted; {found.sentence}", hint=f"go on with: {command}")


def _finish(session: Session, checklist: Checklist, outcome: "Outcome", *, is_verified: bool) -> None:
    """Print what came of it, and what to look at next, and leave with the exit code."""
    from autosync_db.report import as_json

    code = outcome.report.exit_code() if is_verified else ExitCode.OK
    if any(step.name == "next" for step in checklist.steps):
        code = ExitCode.CHECK_FAILED  # the settings are not active yet
    Run.code_if_unread = code
    _say_of(session, outcome)
    if session.is_json:
        # what is left to the user comes last
        steps = sorted(checklist.steps, key=lambda step: step.name == "next")
        onward = [asdict(one) for one in outcome.onward]
        session.print_json({"steps": steps, "next": onward, "verify": as_json.report(outcome.report)})
    else:
        session.print_report(outcome.report)
        if code == ExitCode.OK and any(step.changed for step in checklist.steps):
            session.say_onward(outcome.onward)
    raise typer.Exit(code)


def _say_of(session: Session, outcome: "Outcome") -> None:
    for name in outcome.untried:
        session.say(f"{name} has made no call yet; make one with: autosync-db jobs trigger {name}")
    for name in outcome.unnamed:
        # as after a job has another name in the file: both would run
        session.say(f"{name} is not in the file and goes on running; remove it with: autosync-db jobs remove {name}")


def _verify(configuration: "Configuration", checklist: Checklist) -> "Outcome":
    from autosync_db.health import outcome
    from autosync_db.progress import Step

    checklist.begins("verify")
    checklist.doing("verifying")
    found = outcome.look(configuration)
    checklist.done(Step("verify", found.said, False, found.report.exit_code() == ExitCode.OK))
    return found


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


def _gateway(session: Session, stack: "Stack", checklist: Checklist) -> str:
    """Return the address at which the database of `supabase start` reaches its gateway."""
    from autosync_db.connection import connect
    from autosync_db.setup import gateway

    checklist.doing("connecting")
    with ExitStack() as opened:
        try:
            connection = opened.enter_context(connect(session.configuration.target.database_url))
        except UnreachableError as error:
            raise UnreachableError(error.message, hint=f"{error.hint}; supabase start starts it") from None
        found = gateway.find(connection, stack, checklist.doing)
    session.say(f"the database reaches the gateway at {found}")
    return found


def _key_of(session: Session, stack: "Stack", checklist: Checklist) -> Secret | None:
    """Return the service key of `supabase start` that its function accepts, else the first, None where none is known.

    Which one the gateway lets through varies by the version of the CLI, so that only a call can say it.
    """
    from autosync_db import config
    from autosync_db.supabase import function
    from autosync_db.supabase import key as keys

    checklist.doing("asking the Supabase CLI for the key")
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


def _key_at_hand(session: Session, checklist: Checklist, path: str | None, variable: str | None) -> Secret | None:
    """Return the service key that somebody named or that is at hand, None where none is."""
    stack = session.configuration.target.stack
    # a variable is rather the hosted project's than that of a stack that says its own
    if path is None and variable is None and stack is not None:
        own = _key_of(session, stack, checklist)
        if own is not None:
            return own
    found = secret_input.service_key(session, path, variable)
    return found.key if found is not None else None


def _asked_key(session: Session) -> Secret | None:
    """Return the service key from a hidden prompt, None where nobody can be asked or it is to stay."""
    entered = (
        session.ask("Service key (empty: keep the stored one)", default="", hidden=True) if session.can_ask else ""
    )
    return Secret(entered) if entered else None
