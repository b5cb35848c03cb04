"""`rotate`: replacing a secret without a lost call."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.ending import Run
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode, UsageError, unknown

if TYPE_CHECKING:
    from autosync_db.config import Configuration
    from autosync_db.credentials.rotation import Result

app = typer.Typer(add_completion=False)

_ENDINGS = {
    "rotated": "the new value is active",
    "replaced since": "the new value was proven, but it is not what is active now; nothing was deleted",
    "finished": "the value of the interrupted rotation is proven and active",
    "put back": "the previous value is active again; prove it with: autosync-db jobs trigger",
    "unchanged": "this value is active already; nothing was changed",
    "generated": "a new cron secret is stored, but not active yet",
    "abandoned": "the cron secret that was made for the next rotation is deleted; the active one stays",
    "undone": "the old value is active, and what was made on the platform is deleted again",
    "nothing": "no rotation is unfinished; nothing was changed",
}
# of the old value
_HELD = "the listed places still hold the old one: give each the new one, and only then revoke the old one"
_NOT_KNOWN = "some places could not be searched for the old one: check them before you revoke it"
_UNUSED = (
    "no other job, function, trigger, setting or secret of this database holds the old one, so it is no longer used: "
    "delete it where it was issued (to search files: autosync-db secrets scan)"
)


_NoPreflight = Annotated[
    bool, typer.Option("--no-preflight", help="Do not call the function directly before the new key is stored.")
]
_Generate = Annotated[
    bool,
    typer.Option("--generate", help="Make a new cron secret. Run it again to activate it."),
]
_Auto = Annotated[
    bool,
    typer.Option(
        "--auto", help="Make the new key on the platform (SUPABASE_ACCESS_TOKEN), and delete the old one there."
    ),
]
_KeepOld = Annotated[bool, typer.Option("--keep-old", help="With --auto: keep the old key on the platform.")]
_Resume = Annotated[
    bool, typer.Option("--resume", help="Prove the key of an interrupted rotation, or restore the old one.")
]
_Abort = Annotated[
    bool, typer.Option("--abort", help="Restore the key from before an interrupted rotation, without a call.")
]
_Job = Annotated[str | None, typer.Option(help="Rotate the secret that this job sends.", metavar="NAME")]


@command(app, "rotate")
def _rotate(
    session: Session,
    from_file: secret_input.FromFile = None,
    from_env: secret_input.FromEnv = None,
    no_preflight: _NoPreflight = False,
    generate: _Generate = False,
    auto: _Auto = False,
    keep_old: _KeepOld = False,
    resume: _Resume = False,
    abort: _Abort = False,
    job: _Job = None,
) -> None:
    """Replace the service key: check that the function accepts the new one, store it, make a real call.

    If that fails, the old key is restored and the exit code is 6. Without --from-file and --from-env you are asked on a
    terminal. With --auto the new key is made over the Management API, and the old one deleted once a call has proven
    the new one. If it is interrupted, the old or the new key is active; run it again, or with --resume or --abort.
    """
    from autosync_db.credentials import automatic, cron_secret, rotation, unfinished
    from autosync_db.progress import Reporter

    is_given = bool(from_file or from_env)
    given = {"--auto": auto, "--generate": generate, "--resume": resume, "--abort": abort}
    ways = [flag for flag, is_chosen in given.items() if is_chosen]
    if (reason := _contradiction(ways, is_given, is_given or no_preflight, keep_old)) is not None:
        raise UsageError(reason, hint="leave the other flags out")
    configuration = _of_job(session.configuration, job)
    if not ways:
        by_key = configuration.settings.main.auth != "cron_secret"
        subject = rotation.SERVICE_KEY if by_key else cron_secret.subject(configuration)
        value = secret_input.chosen(session, from_file, from_env, subject.noun)
        # a wrong form is reported before anything is contacted
        subject.check(value, configuration.target.project_ref)
    Run.code_if_unread = ExitCode.BUG
    with session.progress("connecting") as say:
        configuration = _with_jobs(configuration, calls=not abort)
        reporter = Reporter(session.say_done, say)
        if auto:
            result = automatic.rotate(configuration, reporter, preflight=not no_preflight, keep_old=keep_old)
        elif resume:
            result = unfinished.resume(configuration, reporter)
        elif abort:
            result = unfinished.abort(configuration)
        elif generate:
            result = cron_secret.rotate(configuration, preflight=not no_preflight, reporter=reporter)
        else:
            result = rotation.replace(configuration, subject, value, preflight=not no_preflight, reporter=reporter)
    Run.code_if_unread = ExitCode.OK
    _print(session, result)
    if result.outcome == "generated":
        session.say(f"next: {cron_secret.hand_over(configuration)}; then this command again")


def _contradiction(ways: list[str], is_given: bool, is_of_new: bool, keep_old: bool) -> str | None:
    """Return why flags do not go together: `ways` to rotate without a given value, `is_of_new` for a new value."""
    if len(ways) > 1:
        return f"{' and '.join(ways)} exclude each other"
    way = ways[0] if ways else None
    if keep_old and way != "--auto":
        return "--keep-old belongs to --auto"
    if way in {"--auto", "--generate"} and is_given:
        return f"{way} makes the new value itself"
    return "--resume and --abort take no new key" if way in {"--resume", "--abort"} and is_of_new else None


def _of_job(configuration: "Configuration", name: str | None) -> "Configuration":
    """Return the configuration with the named job as its only one."""
    if name is None:
        return configuration
    if not configuration.settings.names_jobs:
        configuration = _with_jobs(configuration)
    if name not in configuration.settings.jobs:
        raise unknown("job", name, configuration.settings.jobs, hint="list them with: autosync-db jobs list")
    return replace(configuration, settings=configuration.settings.only([name]))


def _with_jobs(configuration: "Configuration", *, calls: bool = False) -> "Configuration":
    """Return the configuration, with the jobs of the database where nobody named any.

    Raises SecretError where it `calls` and the database is another project's copy: that one would be shown the new key.
    """
    from autosync_db.connection import connect
    from autosync_db.errors import SecretError
    from autosync_db.jobs import binding, registry

    with connect(configuration.target.database_url) as connection:
        if calls:
            binding.require_own(binding.notice(connection, configuration), SecretError)
        return registry.speaking(connection, configuration)


def _print(session: Session, result: "Result") -> None:
    from autosync_db.report import as_text

    if session.is_json:
        session.print_json(result)
        return
    rows = [(result.outcome, one.name, one.fingerprint_before, one.fingerprint_after) for one in result.changes]
    if rows:
        as_text.table(("result", "name", "before", "after"), rows, session.out)
    held = [(one.place, one.name) for one in result.still_held_by or ()]
    if held:
        as_text.table(("still held by", "name"), held, session.out)
    unseen = [(one.place, one.reason) for one in result.not_looked_at]
    if unseen:
        as_text.table(("not looked at", "why"), unseen, session.out)
    if result.note:
        session.say(f"note: {result.note}")
    session.say(_ENDINGS[result.outcome])
    if held:
        session.say(f"warning: {_HELD}")
    if unseen:
        session.say(f"warning: {_NOT_KNOWN}")
    if result.deleted:
        session.say(f"the old key {result.deleted} is deleted on the platform")
    elif result.left_to_do:
        session.say(f"left to do: {result.left_to_do}")
    elif result.still_held_by == () and not unseen and not result.note:
        session.say(_UNUSED)
