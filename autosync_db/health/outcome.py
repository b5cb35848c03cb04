"""What a set-up has come to: the verdict on the jobs that it speaks for, what was left alone, and what is next."""

from dataclasses import dataclass
from pathlib import Path

from autosync_db.config import LOCAL_TARGET, STACK_TARGET, Configuration
from autosync_db.connection import Connection, connect, exists, value
from autosync_db.health import status, verify
from autosync_db.health.model import Report
from autosync_db.jobs import plan, registry
from autosync_db.progress import Onward

_WORKFLOWS = (Path(".github/workflows"), Path("ci"))
_LINES = 3


@dataclass(frozen=True, slots=True)
class Outcome:
    """The report; `untried` jobs make their first call when their time comes, `unnamed` ones are not in the file."""

    report: Report
    untried: tuple[str, ...]
    unnamed: tuple[str, ...]
    onward: tuple[Onward, ...]

    @property
    def said(self) -> str:
        """Return the verdict in a few words."""
        causes = list(dict.fromkeys(result.id for result in self.report.root_causes))
        if causes:
            return f"{self.report.status.value}: {', '.join(causes)}"
        return f"{len(self.report.healthy)} of {len(self.report.by_check)} checks are ok"


def look(configuration: Configuration, folder: Path | None = None) -> Outcome:
    """Return what came of a set-up; `folder` is where the project's files are.

    A new job beside the main one makes its first call when its time comes: setup calls nobody's function unasked.
    """
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
        report = verify.run(connection, configuration, jobs=judged if untried else ())
        drains = any(job.drains for job in settings.jobs.values())
        is_here = configuration.target.name in {LOCAL_TARGET, STACK_TARGET}
        onward = _onward(connection, folder or Path.cwd(), drains=drains, is_here=is_here)
        return Outcome(report, tuple(untried), tuple(unnamed), tuple(onward))


def _onward(connection: Connection, folder: Path, *, drains: bool, is_here: bool) -> list[Onward]:
    """Return what to look at next: what a project lacks first; `is_here`: it is a stack on this machine."""
    found = []
    if drains and not _has_rows(connection, "public.auto_sync_schedules"):
        found.append(Onward("autosync-db schedules add --integration UUID", "something to sync, each 15 minutes"))
    if not _has_rows(connection, "autosync.alert_receiver"):
        found.append(Onward("autosync-db alerts set slack", "a message when a job fails"))
    if not is_here and not any(list((folder / place).glob("*autosync*")) for place in _WORKFLOWS):
        found.append(Onward("autosync-db scaffold workflow", "migrate and verify in CI"))
    found += [
        Onward("autosync-db status", "the job on one screen"),
        Onward("autosync-db verify", "whether all of it works, at any time"),
    ]
    return found[:_LINES]


def _has_rows(connection: Connection, table: str) -> bool:
    if not exists(connection, table):
        return False
    return bool(value(connection, f"select exists (select from {table})".encode()))  # noqa: S608 - one of two constants
