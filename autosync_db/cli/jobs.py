"""`jobs ...`: the scheduled jobs; `job ...` is the same."""

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import completion, take_over
from autosync_db.cli.console import Session
from autosync_db.cli.options import command, group

if TYPE_CHECKING:
    from autosync_db.connection import Connection
    from autosync_db.health.status import JobStatus
    from autosync_db.jobs.registry import Job

app = group()
_Name = Annotated[
    str | None,
    typer.Argument(
        help="Name of the job. Optional if there is only one job, or if auto-sync-cron-job is meant.",
        show_default=False,
        autocompletion=completion.jobs,
    ),
]


@command(app, "list")
def _list(session: Session) -> None:
    """List the registered jobs with what each does, when, and how its newest call or run ended."""
    from autosync_db.connection import connect
    from autosync_db.health import status
    from autosync_db.report import as_jobs

    with connect(session.configuration.target.database_url) as connection:
        found = status.of_jobs(connection)
        now = session.look(connection)
        if not session.say_copy(connection):
            session.say_unapplied(connection)
    if session.is_json:
        session.print_json(found)
    elif not found:
        session.nothing("no job is registered", next="autosync-db setup")
    else:
        session.head(of_rows=True)
        as_jobs.listed(found, session.out, now)
        _say_next(session, found)


@command(app, "show")
def _show(session: Session, name: _Name = None) -> None:
    """Show the job's settings, its entry in pg_cron, and its newest outcome."""
    from autosync_db.connection import connect
    from autosync_db.health import status
    from autosync_db.jobs import registry
    from autosync_db.report import as_jobs

    with connect(session.configuration.target.database_url) as connection:
        found = registry.choose(connection, session.configuration.settings, name)
        [shown] = status.of_jobs(connection, [found.name])
        now = session.look(connection)
        if not session.say_copy(connection):
            session.say_unapplied(connection)
    if session.is_json:
        session.print_json(found)
        return
    session.head()
    as_jobs.one(shown, session.out, now)
    if found.makes_calls:
        session.say(f"its calls: autosync-db runs --job {shlex.quote(found.name)}")
    _say_next(session, [shown])


def _say_next(session: Session, found: "list[JobStatus]") -> None:
    """Say what finds the cause, where a job is not as it should be."""
    from autosync_db.health.findings import Status

    bad = [one.job.name for one in found if one.condition[0] in {Status.CRITICAL, Status.WARNING}]
    if bad:
        session.say("next: autosync-db verify" + (f" --job {shlex.quote(bad[0])}" if len(bad) == 1 else ""))


@command(app, "pause")
def _pause(session: Session, name: _Name = None) -> None:
    """Stop the job's ticks; verify then reports a paused job, not a failure."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    with connect(session.configuration.target.database_url) as connection:
        job = registry.choose(connection, session.configuration.settings, name)
        registry.pause(connection, job.name)
        paused = registry.find(connection, job.name)
    if session.is_json:
        session.print_json(paused)
    session.say(f"{job.name}: paused; resume it with: autosync-db jobs resume {job.name}")


@command(app, "resume")
def _resume(session: Session, name: _Name = None) -> None:
    """Let the job tick again."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    with connect(session.configuration.target.database_url) as connection:
        job = registry.choose(connection, session.configuration.settings, name)
        resumed = registry.resume(connection, job.name)
        session.say_unapplied(connection)
    if session.is_json:
        session.print_json(resumed)
    state = "resumed" if resumed.enabled else "no longer paused, but autosync.toml says enabled = false"
    session.say(f"{job.name}: {state}")


@command(app, "trigger")
def _trigger(
    session: Session,
    name: _Name = None,
    no_wait: Annotated[bool, typer.Option("--no-wait", help="Do not wait for the answer.")] = False,
) -> None:
    """Run one tick now and wait for the function's real answer; exit 3 if it is not a success.

    A plain SQL job runs in this session, and its result is printed.
    """
    from autosync_db.connection import connect
    from autosync_db.jobs import calls, firing
    from autosync_db.report import as_calls

    with connect(session.configuration.target.database_url) as connection:
        job = firing.ready(connection, session.configuration, name)
        session.say_unapplied(connection)
        if not job.makes_calls:
            _run_statement(session, connection, job)
            return
        if no_wait:
            tick_id = calls.trigger(connection, job.name)
            if session.is_json:
                session.print_json({"job": job.name, "tick": tick_id})
            session.say(f"tick {tick_id} is posted; see its answer with: autosync-db runs")
            return
        with session.progress("waiting for the function's answer") as say:
            _, answers = calls.trigger_and_wait(connection, job.name, job.patience, say)
    if session.is_json:
        session.print_json(answers)
    else:
        as_calls.table(answers, session.out)
    calls.require_success(answers)


def _run_statement(session: Session, connection: "Connection", job: "Job") -> None:
    from autosync_db.jobs import statement
    from autosync_db.report import as_text

    with session.progress("running the statement"):
        ran = statement.run(connection, job)
    if session.is_json:
        session.print_json(ran)
    else:
        row = (ran.job, "ok" if ran.succeeded else "failed", f"{ran.seconds:.1f} s", ran.result)
        as_text.table(("job", "run", "took", "result"), [row], session.out)
    statement.require_success(ran)


@command(app, "reschedule")
def _reschedule(
    session: Session,
    schedule: Annotated[
        str, typer.Argument(metavar="CRON", help="Five fields in UTC, in quotes, or '10 seconds'.", show_default=False)
    ],
    name: _Name = None,
) -> None:
    """Change the job's schedule in the database; setup restores that of autosync.toml."""
    from autosync_db.connection import connect
    from autosync_db.jobs import registry

    settings = session.configuration.settings
    with connect(session.configuration.target.database_url) as connection:
        job = registry.choose(connection, settings, name)
        result = registry.reschedule(connection, job.name, schedule)
        changed = registry.find(connection, job.name)
    if session.is_json:
        session.print_json(changed)
    session.say(f"{job.name}: {changed.schedule}, {result}")
    in_file = settings.jobs.get(job.name) if settings.names_jobs else None
    if in_file is not None and in_file.schedule != changed.schedule:
        session.say(f"autosync.toml says {in_file.schedule}: change it there, too, or the next setup undoes this")


@command(app, "remove")
def _remove(
    session: Session,
    name: Annotated[str, typer.Argument(help="Name of the job.", show_default=False, autocompletion=completion.jobs)],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Unschedule the job and unregister it; housekeeping deletes its history.

    A watched cron job is left alone, and one that was taken over is restored, as `jobs release` does.
    """
    from autosync_db.connection import connect
    from autosync_db.jobs import registry
    from autosync_db.setup import releasing

    settings = session.configuration.settings
    with connect(session.configuration.target.database_url) as connection:
        job = registry.find(connection, name)
        is_theirs = bool(releasing.adopted(connection, [job.name]))
        question = (
            f"The job {job.name} was taken over. Restore its own text?"
            if is_theirs
            else f"Remove the job {job.name} ({job.does})?"
        )
        session.confirm(question, flag="--yes", given=yes)
        said = releasing.remove(connection, job.name)
    if session.is_json:
        session.print_json({"name": job.name, "outcome": "restored" if is_theirs else "removed"})
    for sentence in said:
        session.say(sentence)
    if settings.names_jobs and job.name in settings.jobs:
        session.say("autosync.toml still has it: remove it there, too, or the next setup creates it again")


@command(app, "preview")
def _preview(
    session: Session,
    name: _Name = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many ticks to show.")] = 10,
) -> None:
    """Show the job's next ticks, in UTC."""
    from autosync_db import cron
    from autosync_db.connection import connect
    from autosync_db.errors import UsageError
    from autosync_db.jobs import registry
    from autosync_db.report import as_text, screen

    with connect(session.configuration.target.database_url) as connection:
        job = registry.choose(connection, session.configuration.settings, name)
        now = session.look(connection)
        session.say_unapplied(connection)
    schedule = job.cron_schedule or job.schedule
    if schedule is None:
        raise UsageError(f"pg_cron has no job {job.name}", hint="see autosync-db jobs list")
    ticks = cron.ticks_after(schedule, now, count=count)
    if session.is_json:
        session.print_json({"job": job.name, "schedule": schedule, "state": job.state, "ticks": ticks})
        return
    session.head(of_rows=True)
    rows = [(f"{tick:%a %Y-%m-%d %H:%M:%S}", screen.when(tick, now).full.partition(" (")[0]) for tick in ticks]
    as_text.table((f"{job.name} (UTC)", ""), rows, session.out)
    if job.state != "active":
        session.say(f"none of these ticks happens while the job is {job.state}")


# commands for existing cron jobs come last in the help
take_over.register(app)
