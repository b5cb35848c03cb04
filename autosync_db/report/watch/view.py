"""The parts of the screen as lines of a given width; they are plain text, with words for all that has a colour."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from autosync_db.config import duration
from autosync_db.health.model import CheckResult, Status
from autosync_db.health.picture import Found, Picture
from autosync_db.health.status import JobStatus
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.plain import clean, printable
from autosync_db.report import as_calls, as_text, screen
from autosync_db.report.watch.words import (
    BAD,
    DOUBTFUL,
    OUTCOME_WIDTH,
    WAITING,
    ago,
    countdown,
    fit,
    outcome,
    padded,
)

OLD = "dim"
_TIME, _ID = 8, 7
_STATE, _NEXT, _NAME, _AGO = 15, 15, 24, 12
_NAMED = 2


def header(picture: Picture, subject: str, now: datetime, width: int) -> Text:
    """Return the verdict with its age, and what it is of."""
    clock = f"{now:%H:%M:%S} UTC"
    word, style, age = verdict(picture, now)
    head = Text.assemble((word, style), f"  {age}  {clean(subject)}")
    head.truncate(max(1, width - len(clock) - 2), overflow="ellipsis", pad=True)
    return Text.assemble(head, "  ", clock)


def verdict(picture: Picture, now: datetime) -> tuple[str, str, str]:
    """Return the verdict in a word, its style, and how old it is."""
    seen, lost = picture.verified, picture.lost
    report = seen.report if seen else None
    said = f"verified {ago(seen.at, now)}" if seen else "not verified yet"
    if lost:
        # what was found before says nothing of now
        old = f"as of {picture.look.at:%H:%M:%S} UTC (old)" if picture.look else "nothing is known"
        return "NO ANSWER" if lost.is_gone else "UNKNOWN", BAD, f"{old}; was {report.status.value}" if report else old
    if picture.failed:
        unseen = f"could not verify; was {report.status.value}, {said}" if report else "could not verify"
        return "UNKNOWN", screen.STYLES[Status.UNKNOWN], unseen
    if report is None:
        return "…", OLD, "verifying"
    return report.status.value.upper(), screen.STYLES[report.status], said


def causes(picture: Picture, width: int, room: int) -> list[Text]:
    """Return what is wrong, the server first, then the root causes with evidence and remedy, in so many lines."""
    lines: list[Text] = []
    if lost := picture.lost:
        lines.append(Text(fit(lost.sentence, width), style=BAD))
        hint = f"; {lost.failure.hint}" if lost.failure.hint else ""
        lines.append(Text(padded(f"  {clean(lost.failure.message + hint)}", width)))
    if picture.failed and picture.failed.failure and not picture.lost:
        lines.append(Text(fit(f"verify could not look: {picture.failed.failure.message}", width), style=DOUBTFUL))
    report = picture.verified.report if picture.verified else None
    if report is None:
        return lines
    groups: dict[tuple[str, Status], list[CheckResult]] = {}
    for root in report.root_causes:
        groups.setdefault((root.id, root.status), []).append(root)
    blocks = [_cause(group, width, several=len(report.jobs) > 1) for group in groups.values()]
    if not blocks and report.notes:
        blocks = [[Text(padded(f"note  {clean(note.verdict.summary)}", width))] for note in report.notes]
    for number, block in enumerate(blocks):
        left = len(blocks) - number
        # each cause has a line, before any has more of them
        taken = block[: max(1, room - len(lines) - (left - 1))]
        if len(lines) + len(taken) + (left > 1) > room:
            lines.append(Text(fit(f"and {left} more: press v", width), style=OLD))
            break
        lines += taken
    return lines[:room] if room > 0 else []


def _cause(group: list[CheckResult], width: int, *, several: bool) -> list[Text]:
    first = group[0]
    jobs = [result.job for result in group if result.job] if several else []
    more = f" and {len(jobs) - _NAMED} more" if len(jobs) > _NAMED else ""
    named = f" ({', '.join(jobs[:_NAMED])}{more})" if jobs else ""
    evidence = first.verdict.evidence
    said = first.verdict.summary
    if evidence:
        said = evidence[0].detail if jobs == [evidence[0].object] else f"{evidence[0].object}: {evidence[0].detail}"
    head = Text(padded(f"{first.status.value}  {clean(first.id + named)}: {clean(said)}", width))
    head.stylize(screen.STYLES[first.status], 0, len(first.status.value))
    head.stylize("bold", len(first.status.value), len(first.status.value) + 2 + len(first.id))
    return [head, *([Text(padded(f"  remedy: {clean(first.remedy)}", width))] if first.remedy else [])]


def jobs(picture: Picture, now: datetime, width: int) -> tuple[str, list[tuple[str, Text]]]:
    """Return the heading of the jobs, and a line of each under its name."""
    look = picture.look
    name = min(_NAME, max([8, *(len(clean(one.job.name)) for one in look.jobs)])) if look else _NAME
    heading = f"{fit('job', name)}  {fit('next tick', _NEXT)}  {fit('state', _STATE)}  newest"
    if look is None:
        return padded(heading, width), []
    return padded(heading, width), [
        (one.job.name, _job(one, look.coming.get(one.job.name), now, name, width, old=bool(picture.lost)))
        for one in look.jobs
    ]


def _job(one: JobStatus, coming: datetime | None, now: datetime, name: int, width: int, *, old: bool) -> Text:
    state = one.job.state
    line = Text(style=OLD if old else "")
    line.append(fit(one.job.name, name) + "  ")
    line.append(fit(countdown(coming - now) if coming else "-", _NEXT) + "  ")
    line.append(fit(state, _STATE) + "  ", style="" if old or state == "active" else DOUBTFUL)
    left = max(0, width - name - _NEXT - _STATE - 6)
    words, style, when = newest(one)
    text = f"{words}, {ago(when, now)}" if when else words
    line.append(fit(text, left), style="" if old else style)
    line.truncate(width, overflow="ellipsis")
    return line


def newest(one: JobStatus) -> tuple[str, str, datetime | None]:
    """Return how a job's newest call or run ended, in the words of `status`, the style of that, and when it was."""
    severity, words = one.newest
    style = OLD if one.newest_at is None else screen.STYLES[severity]
    return f"{words}: {one.reason}" if one.reason else words, style, one.newest_at


def calls(picture: Picture, now: datetime, width: int) -> tuple[str, list[tuple[str, Text]]]:
    """Return the heading of the calls, and a line of each under its number, the newest first."""
    look = picture.look
    several = look is not None and len({call.job for call in look.calls}) > 1
    name = min(_NAME, max(8, *(len(clean(call.job)) for call in look.calls))) if look and several else 0
    when = _AGO if width >= 100 else 0
    heading = f"{fit('queued', _TIME)}  {fit('', when)}{fit('call', _ID)}  "
    heading += (fit("job", name) + "  " if several else "") + f"{fit('outcome', OUTCOME_WIDTH)}  answer (UTC)"
    if look is None:
        return padded(heading, width), []
    return padded(heading, width), [
        (str(call.id), _call(call, now, (when, name), width, old=bool(picture.lost))) for call in look.calls
    ]


def _call(call: Invocation, now: datetime, widths: tuple[int, int], width: int, *, old: bool) -> Text:
    when, name = widths
    word, style = outcome(call)
    line = Text(style=OLD if old else "")
    line.append(f"{call.queued_at:%H:%M:%S}  {fit(ago(call.queued_at, now), when)}{fit(call.id, _ID)}  ")
    if name:
        line.append(fit(call.job, name) + "  ")
    line.append(fit(word, OUTCOME_WIDTH), style="" if old else style)
    line.append("  ")
    left = max(0, width - _TIME - when - _ID - (name + 2 if name else 0) - OUTCOME_WIDTH - 6)
    answer = f"for {ago(call.queued_at, now).removesuffix(' ago')}" if call.cause is Cause.PENDING else call.account
    line.append(fit(answer, left))
    line.truncate(width, overflow="ellipsis")
    return line


def schedules(picture: Picture, now: datetime, width: int) -> Text:
    """Return in a line how many schedules are due and overdue, and when the next one is."""
    if picture.look is None:
        return Text(fit("schedules", width))
    found = picture.look.schedules
    line = Text(f"schedules: {found.enabled} enabled, ", style=OLD if picture.lost else "")
    line.append(f"{found.due} due", style=WAITING if found.due else "")
    line.append(", ")
    line.append(f"{found.overdue} overdue", style=BAD if found.overdue else "")
    if found.next_at:
        line.append(f", next {countdown(found.next_at - now)}")
    line.truncate(width, overflow="ellipsis", pad=True)
    return line


def empty(picture: Picture) -> str:
    """Return what to say in the place of calls where there is none."""
    makers = [one for one in picture.look.jobs if one.job.makes_calls] if picture.look else []
    if not makers:
        return "none of these jobs makes calls: their newest run is above"
    return "no call yet: wait for the next tick, or press r to fire a job now"


def question(one: JobStatus, *, waiting: bool) -> str:
    """Return what to ask before a job is fired: what that does, and what is unusual about it now."""
    job = one.job
    what = f"calls {job.does}" if job.makes_calls else f"runs its statement: {job.does}"
    asked = [f"Fire {clean(job.name)} now? This {clean(what)[:200]}."]
    if job.state != "active":
        asked.append(f"The job is {clean(job.state)}; it is run all the same, once.")
    if waiting:
        asked.append("A call of it has no answer yet; there will be two at once.")
    return " ".join(asked)


def call_page(found: Found, now: datetime, width: int) -> Text:
    """Return what `runs show` says of a call."""
    return _printed(lambda console: as_calls.one(found.call, found.where, console, now), width)


def verdict_page(picture: Picture, width: int) -> Text:
    """Return what `verify -v` says."""
    report = picture.verified.report if picture.verified else None
    if report is None:
        return Text("there is no verdict yet")
    return _printed(lambda console: as_text.report(report, console, show_all=True), width)


def job_page(one: JobStatus, coming: datetime | None, now: datetime, width: int) -> Text:
    """Return what is known of a job."""
    job = one.job
    words, _, when = newest(one)
    rows = {
        "job": job.name,
        job.kind: job.does,
        "schedule": f"{job.cron_schedule or job.schedule} ({one.zone or 'UTC'})",
        "state": job.state,
        "next tick": f"{coming:%Y-%m-%d %H:%M:%S} UTC ({countdown(coming - now)})" if coming else "not foreseen",
        "newest": f"{words}, {ago(when, now)}" if when else words,
    }
    if job.makes_calls:
        decision = f", {one.last_decision}" if one.last_decision else ""
        rows["last tick"] = f"{ago(one.last_tick_at, now)}{decision}" if one.last_tick_at else "never"
        rows["timeout"] = f"{job.timeout.total_seconds():g} s"
        rows["overlap"] = job.overlap
        if job.reports_within:
            rows["reports within"] = duration.describe(job.reports_within)
    pairs = [(name, clean(value)) for name, value in rows.items()]
    return _printed(lambda console: screen.fields(pairs, console), width)


def _printed(show: Callable[[Console], None], width: int) -> Text:
    """Return what is printed on a console of that width."""
    page = _Page(width=width, highlight=False, markup=False)
    show(page)
    return page.text


class _Page(Console):
    """A console that keeps what is printed as text: no sequence of control characters in it is obeyed on the way."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.text = Text()

    def print(self, *objects: Any, **options: Any) -> None:
        """Keep what is printed, in lines of the console's width."""
        for shown in objects or ("",):
            for part in self.render(shown):
                self.text.append(printable(part.text), part.style)
