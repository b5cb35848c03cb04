"""Jobs as text: the status of a project, a list of its jobs, and one of them."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from rich.console import Console
from rich.text import Text

from autosync_db.config import duration
from autosync_db.health import status
from autosync_db.health.findings import Status as Severity
from autosync_db.health.status import JobStatus, Status
from autosync_db.remedies import Aim
from autosync_db.report import lines, screen
from autosync_db.report.screen import Cell, Column

# what is said of a project in one line; the table below it has all
_NAMED = 4
# of a statement, where there is little room
_STATEMENT = 48
_COLUMNS = (
    Column("job"),
    Column("state"),
    Column("newest (UTC)", leaves=3),
    Column("next tick (UTC)", leaves=4),
    Column("reason", wraps=True, leaves=5),
)
_LISTED = (
    Column("name"),
    Column("schedule (UTC)", leaves=2),
    Column("state"),
    Column("newest (UTC)", leaves=3),
    Column("next tick (UTC)", leaves=4),
    Column("does", wraps=True, leaves=5),
    Column("reason", wraps=True, leaves=6),
)


def project(found: Status, aim: Aim, console: Console, now: datetime) -> None:
    """Print what is wrong, then each job, then the schedules and what the database has."""
    _verdict(found, console)
    copy = found.inherited
    if copy:
        lines.say(aim.at(f"copy: {copy.sentence}; to let it make its own calls: {copy.next}"), console)
    console.print()
    if len(found.jobs) == 1:
        screen.fields(_of_one(found.jobs[0], now), console)
    elif found.jobs:
        screen.table(_COLUMNS, [_row(one, now) for one in found.jobs], console)
    else:
        lines.say("none of the jobs of autosync.toml runs on this target", console)
    console.print()
    screen.fields(_rest(found, aim, now), console)


def listed(found: Sequence[JobStatus], console: Console, now: datetime) -> None:
    """Print what each job does, when, and what came of it last."""
    rows = [
        (
            one.job.name,
            one.job.schedule or one.job.cron_schedule or "none",
            _condition(one),
            _newest(one, now),
            _coming(one, now),
            _does(one),
            one.reason,
        )
        for one in found
    ]
    screen.table(_LISTED, rows, console)


def one(found: JobStatus, console: Console, now: datetime) -> None:
    """Print a job's settings, what pg_cron has of it, and what came of it last."""
    job = found.job
    rows: list[tuple[str, object]] = [
        ("name", job.name),
        ("state", _condition(found)),
        (job.kind, job.does),
        ("schedule", f"{job.schedule} (UTC)" if job.schedule else None),
    ]
    if job.makes_calls:
        rows += [
            ("timeout", f"{job.timeout.total_seconds():g} s"),
            ("reports within", duration.describe(job.reports_within) if job.reports_within else None),
            ("auth", job.auth),
            ("drains", job.drains or "nothing"),
            ("invoke", job.invoke),
            ("overlap", job.overlap),
        ]
    rows += [
        ("in pg_cron", f"job {job.cron_id}, {job.cron_schedule}" if job.cron_id else "no"),
        ("active", "yes" if job.active else "no"),
        ("paused", f"by {job.paused_by}, {screen.moment(job.paused_at, now)}" if job.paused_at else "no"),
    ]
    if not job.enabled:
        rows.append(("enabled", "no: autosync.toml switches it off"))
    screen.fields([*rows, *_of_its_runs(found, now)], console)


def _verdict(found: Status, console: Console) -> None:
    troubles = found.troubles
    if not troubles:
        severity = Severity.OK
        said = "; ".join(("nothing is wrong that can be seen from here", *_shortened(found.off)))
    else:
        severity = troubles[0][0]
        said = "; ".join(_shortened([words for _, words in troubles]))
    lines.say(Text.assemble((severity.value.upper(), screen.STYLES[severity]), f"  {said}"), console)


def _shortened(said: Sequence[str]) -> list[str]:
    more = len(said) - _NAMED
    return [*said[:_NAMED], *([f"and {more} more"] if more > 0 else [])]


def _row(one: JobStatus, now: datetime) -> tuple[object, ...]:
    return one.job.name, _condition(one), _newest(one, now), _coming(one, now), one.reason


def _condition(one: JobStatus) -> Cell:
    severity, words = one.condition
    return Cell(words, status=severity)


def _does(one: JobStatus) -> Cell:
    text = one.job.does
    short = text if len(text) <= _STATEMENT else text[: _STATEMENT - 1] + "…"
    return Cell(text, short, is_dull=text == one.job.name)


def _newest(one: JobStatus, now: datetime) -> Cell:
    """Return when the newest call or run was, and how it went where the state does not say it."""
    words = "" if one.newest == one.condition else one.newest[1]
    if one.newest_at is None:
        return Cell(words)
    when = screen.when(one.newest_at, now)
    full, short = (", ".join(filter(None, (words, text))) for text in (when.full, when.short))
    return Cell(full, short)


def _coming(one: JobStatus, now: datetime) -> Cell:
    found = one.coming(now)
    if isinstance(found, timedelta):
        return Cell(f"in at most {duration.describe(found)}")
    return Cell(found) if isinstance(found, str) else screen.when(found, now)


def _of_one(one: JobStatus, now: datetime) -> Iterable[tuple[str, object]]:
    job = one.job
    yield "job", Cell(f"{job.name}, {job.schedule or job.cron_schedule or 'no schedule'}")
    yield "state", _condition(one)
    yield from _of_its_runs(one, now)


def _of_its_runs(one: JobStatus, now: datetime) -> Iterable[tuple[str, object]]:
    if one.job.makes_calls:
        decision = f", {one.last_decision}" if one.last_decision else ""
        yield "last tick", screen.moment(one.last_tick_at, now) + decision if one.last_tick_at else "never"
        if one.tick_failed:
            yield "last run", _last(one, "", now)
        call = replace(one, last_run_status=None)
        yield "last call", _last(call, call.last_call.summary if call.last_call else "", now)
    else:
        yield "last run", _last(one, one.last_run_status or "", now)
    yield "reason", one.reason
    yield "next tick", _coming(one, now)


def _last(one: JobStatus, words: str, now: datetime) -> Cell:
    if one.newest_at is None:
        unknown = "never" if one.sees_calls else "not known"
        return Cell(one.newest[1] if one.newest[0] is not Severity.UNKNOWN else unknown, status=one.newest[0])
    severity, said = one.newest
    shown = said if words in {"", said} else f"{said} ({words})"
    return Cell(f"{shown}, {screen.moment(one.newest_at, now)}", status=severity)


def _rest(found: Status, aim: Aim, now: datetime) -> Iterable[tuple[str, object]]:
    if found.unapplied:
        yield "settings", Cell(aim.at(status.not_applied(found.unapplied)), status=Severity.WARNING)
    overdue = f", {found.schedules_overdue} overdue"
    yield (
        "schedules",
        Text.assemble(
            f"{found.schedules_enabled} enabled, {found.schedules_due} due",
            (overdue, screen.STYLES[Severity.CRITICAL] if found.schedules_overdue else ""),
        ),
    )
    yield "next due", screen.when(found.next_schedule_at, now) if found.next_schedule_at else "none"
    is_head = found.revision == found.head
    yield (
        "revision",
        Cell(f"{found.revision} (head)")
        if is_head
        else Cell(f"{found.revision}, head is {found.head}", status=Severity.WARNING),
    )
    stand_in = " (stand-in of the local stack)" if found.pg_net_is_stand_in else ""
    for name, version, more in (("pg_cron", found.pg_cron, ""), ("pg_net", found.pg_net, stand_in)):
        yield name, Cell(version + more) if version else Cell("not installed", status=Severity.CRITICAL)
    for left in found.unproven:
        way = "is being proven" if left.is_live else aim.at("was never proven: autosync-db rotate --resume")
        said = f"{left.name}, stored {screen.moment(left.started_at, now)} by {left.started_by}, {way}"
        yield "rotation", Cell(said, status=Severity.WARNING)
