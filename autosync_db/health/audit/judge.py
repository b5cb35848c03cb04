"""What an audit makes of what it read."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

from autosync_db import cron
from autosync_db.connection import Connection
from autosync_db.errors import UsageError
from autosync_db.health.audit import look, matching
from autosync_db.health.audit.look import Context, Seen
from autosync_db.health.audit.matching import Matched
from autosync_db.health.audit.model import Audit, AuditedJob, Finding, JobStatus
from autosync_db.health.audit.texts import Text, read_text, secrets_in
from autosync_db.jobs import found
from autosync_db.jobs.found import FoundJob
from autosync_db.jobs.texts import command_text, sameness
from autosync_db.plain import clean

_CALLING = {"call", "helper"}
# pg_cron starts a run within a second; a busy server may take longer
_LATE = timedelta(minutes=5)
_LONG_RUN = timedelta(hours=1)
_LARGE_BYTES = 50_000_000
_LARGE_SHARE = 0.1


def run(connection: Connection, target: str) -> Audit:
    """Look at every cron job of the database and judge it. Changes nothing, and needs nothing of ours installed.

    Raises UnreachableError where the server ends the connection; all else that is refused is said in the result.
    """
    with look.looking(connection):
        seen = look.read(connection)
        # what a job's text names without a schema means what it means to the role
        connection.execute("set local search_path to default")
        facts = found.DatabaseFacts(connection, None)
        texts = {job.id: read_text(job, facts, seen.functions) for job in seen.jobs} if _has_parser(seen) else {}
        twins = _twins(seen.jobs, texts, facts)
    now = datetime.now(UTC)
    kinds = {job.id: texts[job.id].kind if job.id in texts else "unknown" for job in seen.jobs}
    calling = {
        job.id: 1 if job.id in texts and texts[job.id].calls else None for job in seen.jobs if kinds[job.id] in _CALLING
    }
    matched = matching.match(seen.answers, seen.starts, calling)
    jobs = []
    for job in seen.jobs:
        text = texts.get(job.id, Text("unknown"))
        of_job = (
            *_of_text(job, text, twins.get(job.id)),
            *_of_runs(job, seen, now),
            *_of_answers(matched.jobs.get(job.id)),
        )
        last = seen.runs[job.id].last_start if job.id in seen.runs else None
        status, why = _status(job, text, seen, matched.jobs.get(job.id), of_job)
        jobs.append(
            AuditedJob(
                job.id,
                job.name,
                job.role,
                job.schedule,
                job.active,
                text.kind,
                text.calls,
                status,
                last,
                (*of_job, *why),
            )
        )
    findings = tuple(_of_database(seen, jobs, matched))
    context = seen.context
    return Audit(target, context.role, context.database, now, tuple(jobs), findings, bool(seen.unseen))


def _has_parser(seen: Seen) -> bool:
    try:
        command_text.require_parser()
    except UsageError as error:
        seen.unseen.append(f"could not read the texts of the jobs: {error.message}; {error.hint}")
        return False
    return True


def _of_text(job: FoundJob, text: Text, twin: FoundJob | None) -> Iterator[Finding]:
    if not job.active:
        yield Finding("inactive", "info", "it is switched off, so it does not run")
    if text.secrets:
        yield Finding(
            "secret_in_text",
            "warning",
            f"its text holds {' and '.join(text.secrets)}: cron.job shows it, and each run keeps a copy",
        )
    for missing in text.missing:
        yield Finding("credential_missing", "warning", missing)
    if text.undone:
        yield Finding("call_undone", "critical", f"its transaction {text.undone}, so pg_net never sends its call")
    for misplaced in text.misplaced:
        yield Finding("credential_misplaced", "warning", misplaced)
    if text.has_no_timeout and job.active:
        yield Finding(
            "timeout_unstated", "info", "it states no timeout_milliseconds: pg_net waits 5 seconds, before 0.8 only 2"
        )
    if twin is not None:
        named = twin.name if twin.name is not None else f"job {twin.id}"
        yield Finding("twin", "warning", f"{named} does the same at the same times")
    if fault := cron.misreading(job.schedule, None):
        yield Finding("schedule_misread", "warning", f'its schedule "{clean(job.schedule)}" {fault.reason}')


def _of_runs(job: FoundJob, seen: Seen, now: datetime) -> Iterator[Finding]:
    runs = seen.runs.get(job.id)
    if not job.active or job.database != seen.context.database:
        return
    if runs is None:
        yield from _never_ran(job, seen, now)
        return
    if runs.failed_in_a_row:
        since = f" since {_moment(runs.failing_since)}" if runs.failing_since else ""
        yield Finding(
            "runs_failing",
            "critical",
            f"the last {runs.failed_in_a_row} of {runs.runs} runs failed{since}: {_message(runs.message)}",
            "run",
        )
    elif runs.failed_of_ten:
        yield Finding(
            "runs_failing",
            "warning",
            f"{runs.failed_of_ten} of its last {min(runs.runs, 10)} runs failed: {_message(runs.message)}",
            "run",
        )
    if runs.last_start is None:
        return
    if runs.last_status in {"starting", "running", "sending", "connecting"} and now - runs.last_start > _LONG_RUN:
        yield Finding(
            "run_stuck",
            "warning",
            f"its newest run has been {runs.last_status} since {_moment(runs.last_start)}",
            "run",
        )
    due = cron.ticks_after(job.schedule, runs.last_start, seen.context.cron_timezone)
    if len(due) == 2 and due[1] + _LATE < now and not seen.context.is_replica:
        yield Finding(
            "runs_missing",
            "warning",
            f"it last ran at {_moment(runs.last_start)}; by its schedule it should have at {_moment(due[0])} and"
            f" {_moment(due[1])}, unless it was changed since",
            "run",
        )


def _never_ran(job: FoundJob, seen: Seen, now: datetime) -> Iterator[Finding]:
    """A job without a run among those that pg_cron keeps, which go back far enough to have some of it."""
    since = min((runs.since for runs in seen.runs.values() if runs.since), default=None)
    if since is None:
        return
    due = cron.ticks_after(job.schedule, since, seen.context.cron_timezone)
    if due and due[-1] + _LATE < now:
        yield Finding(
            "never_ran",
            "warning",
            f"it has no run since {_moment(since)}, though it was due at {_moment(due[0])}, unless it is newer",
            "run",
        )


def _of_answers(matched: Matched | None) -> Iterator[Finding]:
    if matched is None:
        return
    runs = matched.runs
    faulty = [run for run in runs if any(answer.fault for answer in run)]
    if not faulty:
        return
    newest = next(answer for answer in faulty[0] if answer.fault)
    excerpt = f": {newest.excerpt}" if newest.excerpt else ""
    is_failing = faulty[0] is runs[0] and all(answer.fault for answer in runs[0])
    yield Finding(
        "answers_failing",
        "critical" if is_failing else "warning",
        f"the calls of {len(faulty)} of {len(runs)} runs were not answered well, the last at {_moment(newest.created)}:"
        f" {newest.fault}{excerpt}",
        "time",
    )


def _status(
    job: FoundJob, text: Text, seen: Seen, matched: Matched | None, findings: Sequence[Finding]
) -> tuple[JobStatus, tuple[Finding, ...]]:
    """Return whether a job works, and why that is not known."""
    if any(one.severity == "critical" for one in findings):
        return "failing", ()
    runs = seen.runs.get(job.id)
    if not job.active or runs is None or runs.runs == 0:
        if job.active and not any(one.id == "never_ran" for one in findings):
            return "unknown", (
                Finding("no_run_seen", "info", "no run of it has ended yet among those that pg_cron keeps"),
            )
        return "unknown", ()
    if text.kind == "unknown":
        return "unknown", (Finding("not_understood", "info", f"what it does is not understood: {text.reason}"),)
    if text.kind in _CALLING and (matched is None or not matched.runs):
        ttl = f" for {seen.context.pg_net_ttl}" if seen.context.pg_net_ttl else ""
        what = (
            f"its runs succeed, but no answer is known to be of it: pg_net keeps answers{ttl}, without whose they are"
        )
        return "unknown", (Finding("answers_unknown", "info", what, "time"),)
    if text.kind in _CALLING and matched and not any(one.is_proven for run in matched.runs for one in run):
        what = 'nothing denies that its calls succeeded, and nothing proves it: let the function answer {"ok": true}'
        return "ok", (Finding("answers_unproven", "info", what, "time"),)
    return "ok", ()


def _of_database(seen: Seen, jobs: Sequence[AuditedJob], matched: matching.Matching) -> Iterator[Finding]:
    context = seen.context
    yield from (Finding("unseen", "info", what) for what in seen.unseen)
    if not context.has_jobs:
        elsewhere = context.cron_database not in {None, "", context.database}
        where = f": it works in the database {context.cron_database}" if elsewhere else ""
        yield Finding("no_pg_cron", "info", f"pg_cron is not installed in the database {context.database}{where}")
        return
    active = [job for job in jobs if job.active]
    if active and not context.has_scheduler and not context.is_replica:
        yield Finding("scheduler_missing", "critical", "no pg_cron scheduler is connected: no job starts")
    if context.is_replica:
        yield Finding("replica", "info", "this is a read replica: jobs run on the primary, audit that one")
    if any(job.kind in _CALLING for job in active):
        yield from _of_pg_net(context)
    if active and not seen.runs and not any("cron.job_run_details" in what for what in seen.unseen):
        why = "cron.log_run is off" if context.cron_log_run == "off" else "none has run, or the history was emptied"
        yield Finding("no_history", "warning", f"pg_cron has recorded no run: {why}")
    yield from _left_over(seen, matched)
    for place, content in seen.texts:
        if secrets := secrets_in(content):
            what = f"{place} holds {' and '.join(secrets)}: whoever can connect can read it"
            yield Finding("secret_in_function", "warning", what)
    size = context.history_bytes or 0
    if size > _LARGE_BYTES and size > _LARGE_SHARE * context.database_bytes:
        share = round(100 * size / context.database_bytes)
        yield Finding(
            "history_large",
            "warning",
            f"cron.job_run_details has {size // 1_000_000} MB, {share} % of the database: nothing deletes old runs",
        )


def _of_pg_net(context: Context) -> Iterator[Finding]:
    if context.pg_net is None:
        if not context.has_answers:
            yield Finding("no_pg_net", "info", "pg_net is not installed, so calls wait for their answer or fail")
    elif not context.has_worker and not context.is_replica:
        numbers = tuple(int(one) for one in context.pg_net.split(".")[:2] if one.isdigit())
        if context.sees_all_processes or numbers >= (0, 14):
            yield Finding(
                "worker_missing", "critical", "no worker of pg_net is connected: calls are queued and never sent"
            )


def _left_over(seen: Seen, matched: matching.Matching) -> Iterator[Finding]:
    """Faulty answers of which it cannot be said whose they are, by what they say."""
    alike: dict[str, list[matching.Left]] = defaultdict(list)
    for one in matched.left:
        alike[str(one.answer.fault)].append(one)
    titles = {job.id: job.name if job.name is not None else f"job {job.id}" for job in seen.jobs}
    for fault, found_ones in sorted(alike.items(), key=lambda item: -len(item[1]))[:10]:
        newest = max((one.answer for one in found_ones), key=lambda answer: answer.created)
        names = sorted({titles[id] for one in found_ones for id in one.suspects})
        nobody = "of calls that no job made at that time" + (", as far as jobs are seen" if seen.unseen else "")
        whose = f"of one of: {', '.join(names[:8])}" if names else nobody
        if names and any(one.may_be_anybodys for one in found_ones):
            whose += ", or of what calls besides the jobs: there were more answers than they make calls"
        excerpt = f": {newest.excerpt}" if newest.excerpt else ""
        yield Finding(
            "answers_failing",
            "warning",
            f"{len(found_ones)} of {len(seen.answers)} answers were {fault}{excerpt}, the last at"
            f" {_moment(newest.created)}, {whose}",
            "time" if names else None,
        )


def _twins(jobs: Sequence[FoundJob], texts: dict[int, Text], facts: found.DatabaseFacts) -> dict[int, FoundJob]:
    """Return for each active job an earlier one that does the same at the same times."""
    alike = [
        (job, (" ".join(job.schedule.split()), job.database), text.same.effect, text.same.sent)
        for job in sorted(jobs, key=lambda job: job.id)
        if job.active and (text := texts.get(job.id)) is not None and text.same is not None
    ]
    return {job.id: earlier for job, earlier in sameness.twins(alike, facts)}


def _message(text: str) -> str:
    return look.shown(text.removeprefix("ERROR:").strip()) or "without a message"


def _moment(moment: datetime | None) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M UTC}" if moment else "an unknown time"
