"""`repair`."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from autosync_db.cli import completion, secret_input
from autosync_db.cli.console import Session
from autosync_db.cli.options import JudgedJobs, command
from autosync_db.errors import ExitCode, UsageError
from autosync_db.plain import counted

if TYPE_CHECKING:
    from autosync_db.health.model import Report
    from autosync_db.health.repair import Outcome, Plan, Proposal


app = typer.Typer(add_completion=False)


@command(app, "repair")
def _repair(
    session: Session,
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            help="Checks to repair; without any, every failing one that can be repaired.",
            metavar="ID",
            autocompletion=completion.checks,
        ),
    ] = None,
    jobs: JudgedJobs = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the SQL as psql can run it; change nothing.")
    ] = False,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Do not ask; a repair that needs consent also needs its ID.")
    ] = False,
    service_role_key_file: secret_input.KeyFile = None,
    service_role_key_env: secret_input.KeyVariable = None,
) -> None:
    """Fix what verify finds, root causes first, each in one transaction; then verify again.

    A lost address is restored from the target's settings, or from the last call that succeeded; a lost service key from
    the flags, SUPABASE_SERVICE_ROLE_KEY or the target's file. A real call proves them, or everything is as it was.

    A repair that deletes rows, or that drops or overwrites something of yours, needs consent: on a terminal you are
    asked about each; with --yes, name its ID as well. --dry-run --yes prints exactly what --yes would do.

    Exits as verify does, and 3 when a repair failed.
    """
    from autosync_db.connection import connect
    from autosync_db.health import repair, verify

    configuration, named = session.configuration, ids or []
    known = secret_input.service_key(session, service_role_key_file, service_role_key_env)
    with connect(configuration.target.database_url) as connection:
        with session.progress("running the checks"):
            report = verify.run(connection, configuration, jobs=jobs or ())
            plan = repair.plan(connection, configuration, report, named, known)
        for refused in plan.refusals:
            of_job = f" ({refused.job})" if refused.job and len(report.jobs) > 1 else ""
            session.say(f"{refused.id}{of_job}: {refused.reason}; {refused.hint}")
        if dry_run:
            _show(session, plan, plan.consented(named) if yes else plan.proposals)
            for result in () if named else report.root_causes:
                if not result.check.repairable:
                    session.say(f"{result.id} fails and is not repaired from here; its remedy: {result.remedy}")
            return
        chosen = _chosen(session, plan, named, yes=yes)
        outcomes: tuple[Outcome, ...] = ()
        if chosen:
            with session.progress("repairing") as say:
                outcomes = repair.apply(connection, configuration, chosen, say, known)
                report = repair.recheck(connection, configuration, outcomes, jobs or ())
    _report(session, plan, outcomes, report)
    failed = any(outcome.error and not outcome.skipped for outcome in outcomes)
    raise typer.Exit(ExitCode.CHECK_FAILED if failed else report.exit_code())


def _chosen(session: Session, plan: "Plan", named: Sequence[str], *, yes: bool) -> "tuple[Proposal, ...]":
    """Return the proposals that the user agrees to."""
    if yes or not plan.proposals:
        return plan.consented(named)
    if not session.can_ask:
        raise UsageError(
            f"{counted(len(plan.proposals), 'repair')} could be made: confirmation is needed",
            hint="see them with --dry-run, then pass --yes; one that deletes or overwrites needs its ID as well",
        )
    harmless = plan.consented()
    for proposal in harmless:
        typer.echo(f"{proposal.id}: {proposal.sentence}", err=True)
    agreed = bool(harmless) and session.agrees("Do this? Nothing of yours is deleted or overwritten.")
    return tuple(
        proposal
        for proposal in plan.proposals
        if (session.agrees(f"{proposal.id}: {proposal.sentence}. Do it?") if proposal.destructive else agreed)
    )


def _show(session: Session, plan: "Plan", shown: "Sequence[Proposal]") -> None:
    """Print proposals as one script, or as JSON."""
    from autosync_db.health import repair
    from autosync_db.report import repairs

    if session.is_json:
        session.print_json(repairs.report_json(plan, planned=shown))
        return
    scripts = [repair.script(proposal) for proposal in shown]
    scripts += [
        f"-- {proposal.id}: {proposal.sentence}; needs consent: "
        + session.configuration.aim.at(f"autosync-db repair {proposal.id} --yes\n")
        for proposal in plan.proposals
        if proposal not in shown
    ]
    session.print_text("\n".join(scripts) or "-- nothing to repair\n")


def _report(session: Session, plan: "Plan", outcomes: "Sequence[Outcome]", report: "Report") -> None:
    """Print what was done, then what is left."""
    from autosync_db.report import repairs

    if session.is_json:
        session.print_json(repairs.report_json(plan, outcomes=outcomes, health=report))
        return
    repairs.report_text(plan, outcomes, report, session.out)
    session.print_report(report)
