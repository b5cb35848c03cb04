"""What `audit` found, for people and for programs."""

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.text import Text

from autosync_db.health.audit.model import Audit, AuditedJob, Finding
from autosync_db.report.as_json import SCHEMA_VERSION
from autosync_db.report.as_text import STYLES, table

_JOB_STYLES = {"ok": "green", "failing": "bold red", "unknown": "magenta"}
_SEVERITY_STYLES = {"critical": "bold red", "warning": "yellow", "info": "dim"}
NEXT = "autosync-db jobs import"


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


def text(found: Audit, console: Console, *, show_all: bool = False) -> None:
    """Print every job, then what is to be said of each and of the database, then what to do next.

    What is only worth knowing is left out without `show_all`, but for why it is not known whether a job works.
    """
    failing = sum(job.status == "failing" for job in found.jobs)
    console.print(
        Text.assemble(
            (found.status.value.upper(), STYLES[found.status]),
            f"  {len(found.jobs)} cron jobs in the database {found.database}, {failing} failing;"
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
            Text.assemble("next: ", (NEXT, "bold"), "  # tables of autosync.toml for these jobs; changes nothing"),
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
