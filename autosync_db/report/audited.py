"""What `audit` found, for people and for programs."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from autosync_db.health.audit.model import Audit, AuditedJob, Finding
from autosync_db.plain import counted
from autosync_db.report import as_sarif
from autosync_db.report.as_json import SCHEMA_VERSION
from autosync_db.report.as_sarif import Level, Place, Result, Rule
from autosync_db.report.as_text import table
from autosync_db.report.screen import STYLES

_JOB_STYLES = {"ok": "green", "failing": "bold red", "unknown": "magenta"}
_SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "info": "dim"}
NEXT = "autosync-db jobs import"
_LEVELS: dict[str, Level] = {"critical": "error", "warning": "warning", "info": "note"}
_ABOUT = {
    "runs_failing": "runs of a cron job fail",
    "answers_failing": "calls are not answered well",
    "scheduler_missing": "no pg_cron scheduler is connected",
    "worker_missing": "no worker of pg_net is connected",
    "runs_missing": "a cron job has not run when it was due",
    "never_ran": "a cron job has never run",
    "run_stuck": "a run does not end",
    "no_history": "pg_cron has recorded no run",
    "schedule_misread": "pg_cron reads a schedule otherwise than it is written",
    "secret_in_text": "the text of a cron job holds a secret",
    "secret_in_function": "a function or a trigger holds a secret",
    "call_undone": "a call is never sent, as its transaction is undone",
    "credential_misplaced": "a call has its credential in the address",
    "credential_missing": "a call is sent without its credential",
    "twin": "two cron jobs do the same",
    "history_large": "pg_cron's history fills the database",
    "unseen": "something could not be looked at",
}
_SECRETS = {"secret_in_text", "secret_in_function"}
_RULES = tuple(
    Rule(
        f"audit/{id}",
        summary,
        f"{summary[0].upper()}{summary[1:]}. See: autosync-db audit -v, and to bring the jobs under watch: {NEXT}",
        "error" if id in _SECRETS else "warning",
        "7.0" if id in _SECRETS else None,
    )
    for id, summary in _ABOUT.items()
)


def as_json(found: Audit) -> dict[str, Any]:
    """Return an audit in the shape that `audit --format json` promises."""
    return {
        "schema_version": SCHEMA_VERSION,
        "target": found.target,
        "checked_at": found.checked_at.isoformat(),
        "status": found.status.value,
        "role": found.role,
        "database": found.database,
        "jobs": [_job(job) for job in found.jobs],
        "findings": [_finding(one) for one in found.findings],
    }


def sarif(found: Audit, settings: Path | None) -> dict[str, Any]:
    """Return the findings as SARIF; what is only worth knowing is left out. A job is a logical location.

    `settings` is the file of settings, where code scanning shows them.
    """
    placed = [(Place(object=job.title, object_kind="cron job"), one) for job in found.jobs for one in job.findings]
    placed += [(Place(object=f"database {found.database}", object_kind="database"), one) for one in found.findings]
    results = [
        Result(f"audit/{one.id}", one.detail, place, _LEVELS[one.severity], identity=one.id)
        for place, one in placed
        if one.id in _ABOUT
    ]
    # audits of several targets stand side by side
    category = "audit" if found.target == "default" else f"audit/{found.target}"
    return as_sarif.document(_RULES, results, category=category, home=str(settings or as_sarif.SETTINGS))


def text(found: Audit, console: Console, onward: str, *, show_all: bool = False) -> None:
    """Print every job, then what is to be said of each and of the database, then what to do next.

    What is only worth knowing is left out without `show_all`, but for why it is not known whether a job works.
    """
    failing = sum(job.status == "failing" for job in found.jobs)
    console.print(
        Text.assemble(
            (found.status.value.upper(), STYLES[found.status]),
            f"  {counted(len(found.jobs), 'cron job')} in the database {found.database}, {failing} failing;"
            f" seen as {found.role}, {found.checked_at:%Y-%m-%d %H:%M:%S} UTC",
        ),
        soft_wrap=True,
    )
    if found.jobs:
        console.print()
        table(
            ("id", "job", "schedule", "kind", "calls", "last run (UTC)", "status"),
            [
                (
                    job.id,
                    job.title,
                    job.schedule,
                    job.kind,
                    ", ".join(job.calls),
                    f"{job.last_run:%Y-%m-%d %H:%M}" if job.last_run else "",
                    job.status if job.active else "off",
                )
                for job in found.jobs
            ],
            console,
        )
    left_out = 0
    for job in found.jobs:
        shown = [one for one in job.findings if show_all or one.severity != "info" or _says_why(job, one)]
        left_out += len(job.findings) - len(shown)
        if shown:
            console.print()
            console.print(
                Text.assemble((job.title, "bold"), "  ", (job.status, _JOB_STYLES[job.status])), soft_wrap=True
            )
            _findings(shown, console)
    if found.findings:
        console.print()
        _findings(found.findings, console)
    console.print()
    if left_out:
        console.print(Text(f"{left_out} more worth knowing: -v lists them", style="dim"), soft_wrap=True)
    if found.importable:
        console.print(
            Text.assemble("next: ", (onward, "bold"), "  # tables of autosync.toml for these jobs; changes nothing"),
            soft_wrap=True,
        )


def _says_why(job: AuditedJob, one: Finding) -> bool:
    return job.status == "unknown" and one.id in {"answers_unknown", "not_understood"}


def _findings(found: "list[Finding] | tuple[Finding, ...]", console: Console) -> None:
    for one in found:
        by = " (matched by time)" if one.matched_by == "time" and one.severity != "info" else ""
        console.print(
            Text.assemble("  ", (one.severity, _SEVERITY_STYLES[one.severity]), f"  {one.id}: {one.detail}{by}"),
            soft_wrap=True,
        )


def _job(job: AuditedJob) -> dict[str, Any]:
    return {
        "id": job.id,
        "name": job.name,
        "role": job.role,
        "schedule": job.schedule,
        "active": job.active,
        "kind": job.kind,
        "calls": list(job.calls),
        "status": job.status,
        "last_run": job.last_run.isoformat() if job.last_run else None,
        "findings": [_finding(one) for one in job.findings],
    }


def _finding(one: Finding) -> dict[str, Any]:
    return asdict(one)
