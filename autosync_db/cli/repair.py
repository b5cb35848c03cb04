"""`repair`."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import app
from autosync_db.cli.console import Session
from autosync_db.cli.options import command
from autosync_db.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from autosync_db.health.model import Report
    from autosync_db.health.repair import Outcome, Plan, Proposal


@command(app, "repair")
def _repair(
    session: Session,
    ids: Annotated[
        list[str] | None,
        typer.Argument(help="Checks to mend; without any, every failing one that can be mended.", metavar="[ID]..."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL as psql can run it; change nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; what needs consent is done only if its ID is given.")
    ] = False,
) -> None:
    """Mend what verify finds, root causes first, each fault in one transaction; then verify again.

    What deletes rows, or drops or overwrites something that is not ours, needs consent by name: a terminal asks for
    each; with --yes only those are done whose ID is given. With --dry-run --yes exactly what --yes would do is printed.
    Exits as verify does, and 3 when a repair failed.
    """
    from autosync_db.connection import connect
    from autosync_db.health import repair, verify

    configuration, named = session.configuration, ids or []
    with connect(configuration.target.database_url) as connection:
        with session.progress("looking"):
            report = verify.run(connection, configuration)
            plan = repair.plan(connection, configuration, report, named)
        for refused in plan.refusals:
            session.say(f"{refused.id}: {refused.reason}; {refused.hint}")
        if dry_run:
            _show(session, plan, plan.consented(named) if yes else plan.proposals)
            return
        chosen = _chosen(plan, named, yes=yes)
        outcomes: tuple[Outcome, ...] = ()
        if chosen:
            with session.progress("mending") as say:
                outcomes = repair.apply(connection, configuration, chosen, say)
                report = repair.recheck(connection, configuration, outcomes)
    _report(session, plan, outcomes, report)
    failed = any(outcome.error and not outcome.skipped for outcome in outcomes)
    raise typer.Exit(ExitCode.CHECK_FAILED if failed else report.exit_code())


def _chosen(plan: "Plan", named: Sequence[str], *, yes: bool) -> "tuple[Proposal, ...]":
    """Return the proposals that the user agrees to."""
    if yes or not plan.proposals:
        return plan.consented(named)
    if not sys.stdin.isatty():
        raise UsageError(
            f"{len(plan.proposals)} repairs could be made: confirmation is needed",
            hint="see them with --dry-run, then pass --yes; what deletes or overwrites needs its ID as well",
        )
    harmless = plan.consented()
    for proposal in harmless:
        typer.echo(f"{proposal.id}: {proposal.sentence}", err=True)
    agreed = bool(harmless) and typer.confirm("Do this? It deletes and overwrites nothing that is yours.", err=True)
    return tuple(
        proposal
        for proposal in plan.proposals
        if (typer.confirm(f"{proposal.id}: {proposal.sentence}. Do it?", err=True) if proposal.destructive else agreed)
    )


def _show(session: Session, plan: "Plan", shown: "Sequence[Proposal]") -> None:
    """Print proposals as one script, or as JSON."""
    from autosync_db.health import repair
    from autosync_db.report import repairs

    if session.is_json:
        session.print_json(repairs.report_json(plan, session.configuration, planned=shown))
        return
    scripts = [repair.script(session.configuration, proposal) for proposal in shown]
    scripts += [
        f"-- {proposal.id}: {proposal.sentence}; needs consent: autosync-db repair {proposal.id} --yes\n"
        for proposal in plan.proposals
        if proposal not in shown
    ]
    session.print_text("\n".join(scripts) or "-- nothing to mend\n")


def _report(session: Session, plan: "Plan", outcomes: "Sequence[Outcome]", report: "Report") -> None:
    """Print what was done, then what is left."""
    from autosync_db.cli.verify import show
    from autosync_db.report import repairs

    if session.is_json:
        session.print_json(repairs.report_json(plan, session.configuration, outcomes=outcomes, health=report))
        return
    repairs.report_text(plan, outcomes, report, session.out)
    show(session, report, as_json=False)
