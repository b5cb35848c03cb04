"""`migrate`."""

from dataclasses import replace
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import completion
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import MigrationError, UsageError
from autosync_db.plain import counted

if TYPE_CHECKING:
    from autosync_db.connection import Connection
    from autosync_db.schema.migrate import MigrationPlan
    from autosync_db.schema.revisions import MigrationResult


app = typer.Typer(add_completion=False)
# more objects of one state are counted
_FEW = 8


@command(app, "migrate")
def _migrate(
    session: Session,
    revision: Annotated[
        str, typer.Argument(help="Revision to bring the database to.", autocompletion=completion.revisions)
    ] = "head",
    check: Annotated[
        bool, typer.Option("--check", help="Exit 5 if anything is pending or drifted; change nothing.")
    ] = False,
    sql: Annotated[bool, typer.Option("--sql", help="Print the SQL script; connect to nothing.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")] = False,
) -> None:
    """Bring the database to a revision, in one transaction.

    Safe to repeat, and to run from several places at once: one migrates, the others find nothing to do.
    """
    from autosync_db.schema import revisions

    if check + sql + dry_run > 1:
        raise UsageError("--check, --sql and --dry-run exclude each other", hint="choose one of them")
    revision, configuration = revisions.named(revision), session.configuration
    if sql or check or dry_run:
        # not for a migration with nothing to do: they load Alembic
        from autosync_db.schema import migrate
        from autosync_db.setup import takeover
    if sql:
        session.print_text(migrate.script_sql(revision, configuration.isolation))
        return
    if check or dry_run:
        plan = migrate.plan(configuration.target.database_url, revision, configuration.isolation)
        if not plan.refusals:
            plan = replace(plan, adoption=[*plan.adoption, *takeover.foresee(configuration, revision).notes])
        _show_plan(session, plan, check=check)
        return
    outcome = _migrated(session, revision)
    if session.is_json:
        session.print_json(outcome)
        return
    for warning in outcome.warnings:
        session.say(f"warning: {warning}")
    if not outcome.revisions and not outcome.objects:
        session.say(f"nothing to do: the database is at {outcome.after}")
    else:
        session.say(
            f"{outcome.before or 'empty'} -> {outcome.after}: "
            f"{counted(len(outcome.revisions), 'revision')}, {counted(len(outcome.objects), 'object')} applied"
        )
        if session.verbose:
            for name in (*outcome.revisions, *outcome.objects):
                session.say(f"  {name}")


def _migrated(session: Session, revision: str) -> "MigrationResult":
    """Migrate, unless there is nothing to do, and say what the database is a copy of."""
    from autosync_db.jobs import binding
    from autosync_db.progress import Reporter
    from autosync_db.setup import takeover

    configuration = session.configuration

    def say_copy(connection: "Connection") -> None:
        if binding.notice(connection, configuration):
            session.say_copy(connection)

    with session.progress("migrating") as say:
        reporter = Reporter(session.say_done, say)
        return takeover.upgrade(configuration, revision, reporter=reporter, at_end=say_copy)


def _show_rows(session: Session, plan: "MigrationPlan") -> None:
    from collections import Counter

    from autosync_db.report import as_text

    rows = [("revision", step.id, step.summary) for step in plan.upgrades]
    rows += [("there", change.action, f"{change.object}: {change.detail}") for change in plan.adoption]
    counts = Counter(state.value for state in plan.objects.values())
    for state, count in sorted(counts.items()):
        if session.verbose or count <= _FEW:
            rows += [("object", state, path) for path, found in plan.objects.items() if found.value == state]
        else:
            rows.append(("object", state, f"{count} functions, triggers and grants; -v lists them"))
    as_text.table(("kind", "what", "description"), rows, session.out)


def _show_plan(session: Session, plan: "MigrationPlan", *, check: bool) -> None:
    if session.is_json:
        session.print_json(plan)
    elif plan.is_current:
        session.say(f"nothing to do: the database is at {plan.current or 'base'}, and every object is current")
    else:
        _show_rows(session, plan)
    if plan.refusals:
        raise MigrationError(
            f"the migration is prevented by {counted(len(plan.refusals), 'difference')}: "
            + "; ".join(f"{change.object}: {change.detail}" for change in plan.refusals),
            hint="do what is said of the job; then run: autosync-db migrate"
            if all(change.object.startswith("cron job ") for change in plan.refusals)
            else "fix these differences, or rename the table and copy its rows over; see: autosync-db explain adoption",
        )
    if check and not plan.is_current:
        raise MigrationError(
            f"pending: {counted(len(plan.upgrades), 'revision')} and {counted(len(plan.objects), 'object')}",
            hint="run: autosync-db migrate",
        )
