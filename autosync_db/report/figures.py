"""The figures of a report, in the shape that `report --format json` promises.

That is docs/reference/schemas/report.schema.json. The page is made of these and of nothing else.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

from autosync_db import cron
from autosync_db.config import Configuration
from autosync_db.health.history import RUNS_COUNTED, History
from autosync_db.health.model import Report, Status
from autosync_db.jobs.calls import Cause, Invocation
from autosync_db.jobs.registry import Job
from autosync_db.report import as_json
from autosync_db.supabase.key import redact

Row = Mapping[str, Any]
# what became of a call; a failed run of the cron job is one where no call was made
OUTCOMES = ("ok", "unproven", "failed", "lost", "pending", "no_call")
_STRIPS = {"day": (15, 96), "week": (60, 168)}
_DAY = timedelta(days=1)


def document(report: Report, history: History | None, configuration: Configuration, at: datetime) -> dict[str, Any]:
    """Return everything that a report says, as JSON has it. Without a history nothing but the checks is known."""
    found = {
        "schema_version": as_json.SCHEMA_VERSION,
        "target": report.target,
        "project_ref": configuration.target.project_ref,
        "generated_at": at,
        "status": report.status.value,
        "subject": report.subject,
        "verify": as_json.report(report),
        "show_call": configuration.aim.at("autosync-db runs show ID"),
        "server": None,
        "calls": {},
        "jobs": [],
        "schedules": None,
        "sizes": [],
        "neighbours": [],
        "unseen": [] if history else [{"what": "everything", "reason": "the server was not reached"}],
    }
    if history:
        found |= _seen(report, history, history.context["at"].astimezone(UTC))
    plain: dict[str, Any] = json.loads(as_json.line(found))
    return plain


def _seen(report: Report, history: History, now: datetime) -> dict[str, Any]:
    context = history.context
    names = ("database", "role", "server", "database_bytes", "pg_cron", "pg_net")
    jobs = _Jobs(report, history, now)
    found = [jobs.of(name) for name in report.jobs]
    return {
        "server": {"at": now, **{name: context[name] for name in names}},
        "calls": {name: _together([job["strips"][name]["totals"] for job in found]) for name in _STRIPS},
        "jobs": found,
        "schedules": _schedules(history) if "schedules" in history.rows else None,
        "sizes": _sizes(history),
        "neighbours": _neighbours(history, jobs),
        "unseen": [{"what": what, "reason": redact(reason)} for what, reason in history.unseen.items()],
    }


class _Jobs:
    """The jobs of a report, with what is known of each."""

    def __init__(self, report: Report, history: History, now: datetime) -> None:
        self._report, self._now, self._context = report, now, history.context
        self._registered = {row["name"]: row for row in history.rows.get("jobs", ())}
        self.cron: dict[str, Row] = {}
        for row in history.rows.get("cron_jobs", ()):
            self.cron.setdefault(row["jobname"] or "", row)
        self._calls = _grouped(history.rows.get("calls", ()), "job_id")
        self.runs = _grouped(history.rows.get("runs", ()), "jobid")
        self._failures = _grouped(history.rows.get("failures", ()), "job")
        self._newest = _grouped(history.rows.get("newest", ()), "job")
        self._overdue = {row["job"]: row for row in history.rows.get("overdue", ())}

    def of(self, name: str) -> dict[str, Any]:
        """Return what is known of one job; of one that is not in the database only that."""
        row, cron_job = self._registered.get(name), self.cron.get(name)
        job = _job(row, cron_job) if row else None
        calls = self._calls.get(row["id"], []) if row else []
        runs = self.runs.get(cron_job["jobid"], []) if cron_job else []
        makes_calls = job is None or job.makes_calls
        week, day = (
            _strip("week", calls, runs, makes_calls, self._now),
            _strip("day", calls, runs, makes_calls, self._now),
        )
        whole = next((one for one in calls if one["strip"] == "all"), {})
        of_runs = next((one for one in runs if one["strip"] == "all"), {})
        overdue = self._overdue.get(name)
        return {
            "name": name,
            "status": _worst(result.status for result in self._report.results if result.job == name).value,
            "checks": [result.id for result in self._report.root_causes if result.job == name],
            "kind": job.kind if job else None,
            "does": _does(job) if job else None,
            "state": job.state if job else "not in the database",
            "schedule": (cron_job["schedule"] if cron_job else None) or (job.schedule if job else None),
            "timeout_seconds": job.timeout.total_seconds() if job and job.makes_calls else None,
            "next": self._coming(job),
            "strips": {"day": day, "week": week},
            "days": _days(calls, week),
            "attempts": [
                {"attempt": one["slot"], **_counts(one)}
                for one in sorted(calls, key=lambda one: one["slot"] or 0)
                if one["strip"] == "attempt"
            ],
            "durations": _durations(whole, "reported by the function") if makes_calls else _of_runs(of_runs),
            "failures": [_failure(one) for one in self._failures.get(name, ())],
            "last_run_failure": redact(of_runs["message"])
            if of_runs.get("failed") and of_runs.get("message")
            else None,
            "newest": [_call(one) for one in self._newest.get(name, ())],
            "overdue": {"schedules": overdue["schedules"], "since": overdue["oldest"]} if overdue else None,
        }

    def _coming(self, job: Job | None) -> dict[str, Any]:
        """Return how often the job ticks in the coming 24 hours, and the first times of that."""
        nothing: dict[str, Any] = {"ticks": 0, "every_seconds": None, "at": []}
        if job is None or not job.active or (job.inherited_from and job.makes_calls):
            return nothing
        schedule = job.cron_schedule or ""
        if period := cron.every(schedule):
            return {"ticks": _DAY // period, "every_seconds": period.total_seconds(), "at": []}
        zone, both = self._context["cron_timezone"], self._context["both_days"]
        ticks = _ticks(schedule, self._now, zone, both)
        found = [tick for tick in ticks if tick <= self._now + _DAY]
        return {"ticks": len(found), "every_seconds": None, "at": (found or ticks)[:3]}


def _does(job: Job) -> str:
    """Return what a job does; of an address not what stands behind it, which may be a credential of no known form."""
    text = job.does.partition("?")[0] if job.kind == "url" else job.does
    return redact(text)[:200]


# many jobs share a schedule
@cache
def _ticks(schedule: str, now: datetime, zone: str | None, both_days: bool) -> list[datetime]:
    return cron.ticks_after(schedule, now, zone, both_days=both_days, count=1441)


def _job(row: Row, cron_job: Row | None) -> Job:
    kind = "function" if row["function"] else "url" if row["url"] else "sql" if row["sql"] else "watch"
    within = row["reports_within"]
    paused_at = row["paused_at"]
    given = cron_job or dict.fromkeys(("jobid", "schedule", "active"))
    return Job(
        name=row["name"], kind=kind, function=row["function"], url=row["url"], sql=row["sql"], schedule=row["schedule"],
        timeout=timedelta(milliseconds=row["timeout_milliseconds"]), invoke=row["invoke"], drains=row["drains"],
        overlap=row["overlap"], auth=row["auth"], reports_within=None if within is None else timedelta(seconds=within),
        enabled=row["enabled"], paused_at=datetime.fromisoformat(paused_at) if paused_at else None,
        paused_by=row["paused_by"], cron_id=given["jobid"], cron_schedule=given["schedule"],
        active=given["active"], inherited_from=row["inherited_from"],
    )  # fmt: skip


def _strip(name: str, calls: Sequence[Row], runs: Sequence[Row], makes_calls: bool, now: datetime) -> dict[str, Any]:
    """Return what became of a job's calls by slots, the oldest first; of a job without calls, of its runs."""
    minutes, count = _STRIPS[name]
    length = timedelta(minutes=minutes)
    # as date_bin() does
    ends = datetime.fromtimestamp((now.timestamp() // (minutes * 60) + 1) * minutes * 60, now.tzinfo)
    slots: dict[int, dict[str, Any]] = {}
    for row in calls:
        if row["strip"] == name and 0 <= row["slot"] < count:
            slots[row["slot"]] = _counts(row) | {"id": row["id"]}
            if row["failed_id"] is not None:
                slots[row["slot"]]["failed_id"] = row["failed_id"]
            if name == "week" and row["timed"]:
                slots[row["slot"]] |= _spread(row)
    for row in runs:
        if row["strip"] == name and 0 <= row["slot"] < count:
            given = {"no_call": row["failed"]} if makes_calls else {
                "ok": row["ok"], "failed": row["failed"], "pending": row["open"]
            }  # fmt: skip
            if given := {key: value for key, value in given.items() if value}:
                slots.setdefault(row["slot"], {}).update(given)
    totals = {outcome: sum(slot.get(outcome, 0) for slot in slots.values()) for outcome in OUTCOMES}
    return {
        "slot_minutes": minutes,
        "slots_count": count,
        "begins_at": ends - count * length,
        "ends_at": ends,
        "totals": totals | {"all": sum(totals.values())},
        "slots": [{"slot": number, **slots[number]} for number in sorted(slots)],
    }


def _together(totals: Iterable[Mapping[str, int]]) -> dict[str, Any]:
    """Return the sums of all jobs, and which share of what has ended was good: never rounded up."""
    found = dict.fromkeys((*OUTCOMES, "all"), 0)
    for one in totals:
        found = {name: count + one[name] for name, count in found.items()}
    ended = found["all"] - found["pending"]
    good = found["ok"] + found["unproven"]
    return {**found, "good_percent": None if ended == 0 else good * 1000 // ended / 10}


def _days(calls: Sequence[Row], week: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return what became of a job's calls by date in UTC, the newest first."""
    begins = week["begins_at"].date()
    found: dict[int, dict[str, Any]] = {}
    for row in calls:
        if row["strip"] == "date":
            found[row["slot"]] = _counts(row) | (_spread(row) if row["timed"] else {})
    kinds = ("no_call",) if found else OUTCOMES
    for slot in week["slots"]:
        at = week["begins_at"] + slot["slot"] * timedelta(minutes=week["slot_minutes"])
        for kind in kinds:
            if slot.get(kind):
                day = found.setdefault((at.date() - begins).days, {})
                day[kind] = day.get(kind, 0) + slot[kind]
    return [{"date": (begins + number * _DAY).isoformat(), **found[number]} for number in sorted(found, reverse=True)]


def _counts(row: Row) -> dict[str, Any]:
    """Return the counts that are not zero."""
    return {outcome: row[outcome] for outcome in OUTCOMES if row.get(outcome)}


def _spread(row: Row) -> dict[str, Any]:
    median, high = row["percentiles"]
    return {"median_ms": median, "p95_ms": high}


def _durations(row: Row, source: str) -> dict[str, Any] | None:
    if not row.get("timed"):
        return None
    return {"source": source, "calls": row["timed"], **_spread(row), "longest_ms": row["longest_ms"]}


def _of_runs(row: Row) -> dict[str, Any] | None:
    if row.get("longest_ms") is None:
        return None
    return {"source": "the statement's own, by pg_cron", "longest_ms": round(row["longest_ms"])}


def _failure(row: Row) -> dict[str, Any]:
    """Return one way in which calls failed, in the words of the newest of them."""
    call = _invocation(row, row["last_at"], row["message"], row["words"])
    return {
        "cause": call.cause.value,
        "account": redact(call.account),
        "calls": row["calls"],
        "first_at": row["first_at"],
        "last_at": row["last_at"],
        "id": row["id"],
    }


def _call(row: Row) -> dict[str, Any]:
    call = _invocation(row, row["queued_at"], row["error_message"], row["body_excerpt"])
    outcome = "unproven" if call.cause is Cause.OK and call.is_unproven else row["outcome"]
    return {
        "id": row["id"],
        "queued_at": row["queued_at"],
        "outcome": outcome,
        "cause": call.cause.value,
        "account": redact(call.account),
        "attempt": row["attempt"],
        "function_ms": row["function_milliseconds"],
    }


def _invocation(row: Row, at: str, message: str | None, words: str | None) -> Invocation:
    return Invocation(
        job=row["job"], id=row["id"], tick_id=row.get("tick_id") or 0, request_id=row.get("request_id") or 0,
        queued_at=datetime.fromisoformat(at), settled_at=None,
        timeout_milliseconds=row.get("timeout_milliseconds") or 0,
        outcome=row["outcome"], status_code=row["status_code"], error_code=row["error_code"], error_message=message,
        body_excerpt=words, cause=Cause(row["cause"]), answered_by=row["answered_by"], proof=row.get("proof"),
    )  # fmt: skip


def _schedules(history: History) -> dict[str, Any]:
    row = history.one("schedules")
    by_hour = row["by_hour"] or {}
    rows = history.rows.get("overdue", ())
    oldest = [one["oldest"] for one in rows if one["oldest"]]
    overdue = max((one["schedules"] for one in rows), default=0)
    counts = ("schedules", "enabled", "due", "failing", "never_run", "without_next_run")
    return {
        **{name: row[name] for name in counts},
        "overdue": overdue,
        "overdue_since": min(oldest, default=None),
        "next_24_hours": [int(by_hour.get(str(hour), 0)) for hour in range(24)],
        "due_runs": _due_runs(history),
        "upcoming": [
            # a list waits a quarter of an hour, verify three ticks of the job: a page has one answer
            {**one, "state": "due" if one["state"] == "overdue" and not overdue else one["state"]}
            | {"reason": redact(one["reason"]) if one["reason"] else None}
            for one in history.rows.get("upcoming", ())
        ],
    }


def _due_runs(history: History) -> dict[str, Any] | None:
    """Return what is due in the coming 24 hours; None where that could not be looked at."""
    if not {"due_runs", "due_runs_counted"} <= history.rows.keys():
        return None
    shown, counted = history.rows["due_runs"], history.one("due_runs_counted")["runs"]
    return {
        "runs": shown,
        "more": min(counted, RUNS_COUNTED) - len(shown),
        "is_at_least": counted > RUNS_COUNTED,
    }


def _sizes(history: History) -> list[dict[str, Any]]:
    kept = {
        one["table"]: one for name in ("kept_ledger", "kept_runs", "kept_answers") for one in history.rows.get(name, ())
    }
    retention = {"cron.job_run_details": history.one("retention").get("runs")}
    return [
        {
            "table": row["table"],
            "rows": row["rows"],
            "bytes": row["bytes"],
            "oldest_at": kept.get(row["table"], {}).get("oldest_at"),
            "kept_seconds": kept.get(row["table"], {}).get("kept") or retention.get(row["table"]),
        }
        for row in history.rows.get("sizes", ())
    ]


def _neighbours(history: History, jobs: _Jobs) -> list[dict[str, Any]]:
    """Return the cron jobs that are neither ours nor registered."""
    registered = {row["name"] for row in history.rows.get("registered", ())}
    found = []
    for row in history.rows.get("cron_jobs", ()):
        if row["is_ours"] or row["jobname"] in registered:
            continue
        ran = next((one for one in jobs.runs.get(row["jobid"], ()) if one["strip"] == "all"), {})
        found.append(
            {
                "id": row["jobid"],
                "name": row["jobname"],
                "schedule": row["schedule"],
                "role": row["username"],
                "database": row["database"],
                "active": row["active"],
                "last_run_at": ran.get("last_at"),
                "last_status": ran.get("last_status"),
                "day": {"runs": ran.get("today", 0), "failed": ran.get("failed_today", 0)},
                "week": {
                    "runs": sum(ran.get(name, 0) for name in ("ok", "failed", "open")),
                    "failed": ran.get("failed", 0),
                },
                "last_failure": redact(ran["message"]) if ran.get("message") else None,
            }
        )
    return found


def _grouped(rows: Iterable[Row], key: str) -> dict[Any, list[Row]]:
    found: dict[Any, list[Row]] = {}
    for row in rows:
        found.setdefault(row[key], []).append(row)
    return found


def _worst(statuses: Iterable[Status]) -> Status:
    return max(statuses, key=lambda status: status.severity, default=Status.OK)
