"""The job ticked when its schedule last required it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from autosync_db.health import ticks
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou

# of the runs of all jobs the newest 20000, by primary key: bounded. What a call's tick did is in the ledger, too
_QUERY = """
select jsonb_build_object(
    'schedule', c.schedule,
    'makes_calls', j.function is not null or j.url is not null,
    'is_on', c.active and j.paused_at is null and j.enabled,
    'now', now(),
    'since', greatest(autosync.server_epoch(), pg_postmaster_start_time(), j.created_at, j.updated_at),
    'ticked_at', (
        select t.ticked_at
        from (
            select k.ticked_at, k.caller
            from autosync.tick as k
            -- by a range, as recent_outcomes() does: a rare job is not looked for among all others
            where k.job_id between j.id and j.id
            order by k.job_id desc, k.id desc
            limit 100
        ) as t
        -- a tick that was triggered manually does not show that pg_cron ticks; without a name it may be pg_cron's
        where t.caller like 'pg\\_cron%' or t.caller = c.username
        order by t.ticked_at desc
        limit 1
    ),
    'zone', (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.timezone'),
    -- pg_cron has it since 1.6.8
    'both_days', exists (
        select from pg_catalog.pg_settings as s where s.name = 'cron.match_dom_and_dow' and s.setting = 'on'
    ),
    'sees_settings', pg_has_role('pg_read_all_settings', 'usage'),
    'kept_since', now() - j.keep_invocations,
    'history', HISTORY,
    'newest_runs', (
        select jsonb_agg(jsonb_build_array(d.start_time, d.end_time) order by d.runid desc)
        from (
            select o.runid, o.start_time, o.end_time
            from (select n.* from cron.job_run_details as n order by n.runid desc limit 20000) as o
            join cron.job as r on r.jobid = o.jobid and r.jobname = c.jobname
            order by o.runid desc
            limit 2
        ) as d
    )
) as fact
from (
    select o.* from cron.job as o where o.jobname = checked.name order by o.jobid limit 1
) as c
-- one that is only in autosync.toml is not ours to judge
left join autosync.job as j on j.name = c.jobname
""".replace("HISTORY", ticks.HISTORY)


@dataclass(frozen=True, slots=True)
class _Run:
    """A run of the job; a failed connection has no times before pg_cron 1.6.3."""

    started_at: datetime | None
    ended_at: datetime | None


def query() -> str:
    """Return the query of one value of JSON on the job `checked.name`."""
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    job = str(answer.job)
    if not answer.values:
        return [Row("unknown", f"cron job {job}", "does not exist", {"reason": "missing", "job": job})]
    return judge(job, answer.values[0])


def judge(job: str, facts: Mapping[str, Any]) -> list[Row]:
    """Return what is wrong with the ticks of a job, by the answer to `query`."""
    what = f"cron job {job}"
    now, since = ticks.moment(facts["now"]), ticks.moment(facts["since"])
    if not facts["is_on"] or now is None or since is None:
        return []
    runs = [_Run(ticks.moment(start), ticks.moment(end)) for start, end in facts["newest_runs"] or ()]
    if runs and runs[0].started_at is None:
        return []  # it was started; when, this version of pg_cron did not write down
    seen_at = (ticks.moment(facts["ticked_at"]), runs[0].started_at if runs else None)
    last = max((moment for moment in seen_at if moment), default=None)
    # what lies before the oldest tick that is kept cannot be said to be missing
    kept = ticks.moment(facts["kept_since"]) if facts["makes_calls"] else ticks.recorded_since(facts["history"], since)
    if kept is None:
        return []
    since = max(since, kept)
    if expected := ticks.missed(facts["schedule"], last, since, now, zone=facts["zone"], both_days=facts["both_days"]):
        seen = f"its last tick was at {ticks.shown(last)}" if last else "it never ticked"
        return [
            Row(
                "critical" if facts["sees_settings"] else "unknown",
                what,
                f"{seen}; by its schedule {facts['schedule']} it should have ticked at {ticks.shown(expected[0])}"
                f" and {ticks.shown(expected[1])}"
                + (
                    ""
                    if facts["sees_settings"]
                    else ", unless cron.timezone or cron.match_dom_and_dow, hidden from this role, moves it"
                ),
                {
                    "reason": "no_tick",
                    "job": job,
                    "last_at": last and last.isoformat(),
                    "expected": [tick.isoformat() for tick in expected],
                },
            )
        ]
    return _late(job, runs)


def _late(job: str, runs: list[_Run]) -> list[Row]:
    """Return a warning when the newest run had to wait for its predecessor, which pg_cron starts back to back."""
    if len(runs) < 2:
        return []
    start, before = runs[0].started_at, runs[1]
    if start is None or before.started_at is None or before.ended_at is None:
        return []
    took = before.ended_at - before.started_at
    waited = timedelta(0) <= start - before.ended_at < timedelta(seconds=1)
    if took < timedelta(minutes=1) or not waited or start.second < 5:
        return []
    detail = f"its run at {ticks.shown(start)} had to wait for the one before, which took {took.total_seconds():.0f} s"
    facts = {"reason": "waited", "job": job, "started_at": start.isoformat(), "seconds": took.total_seconds()}
    return [Row("warning", f"cron job {job}", detail, facts)]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="the job ticked when its schedule last required it",
    remedy=ByYou(
        "restart PostgreSQL (on Supabase: Project Settings > General > Restart project)",
        then="autosync-db verify --wait 10m",
    ),
    needs=("job_scheduled", "head_applied"),
    causes=(
        "pg_cron_scheduler_running",
        "job_scheduled",
        "job_active",
        "job_owner_matches",
        "job_schedule_matches",
        "no_stuck_runs",
        "server_writable",
        "cron_database_matches",
        "cron_run_sequence_ahead",
        "pg_cron_not_blocked",
        "no_triggers_on_cron_tables",
        "cron_jobs_launched",
        "cron_slots_free",
        "launcher_matches_table",
    ),
    question=Question(query, _read),
)
