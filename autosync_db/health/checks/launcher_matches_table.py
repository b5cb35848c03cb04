"""The jobs in the memory of pg_cron's process match cron.job.

Nothing shows that memory. What it ran shows what it had then, and that it read cron.job no more since is shown by one
of two things: its last activity is still the writing of that run (before pg_cron 1.5, which reports every look into the
table in pg_stat_activity), or housekeeping saw before the run that the job was gone (autosync.note_gone_jobs()).
"""

import time
from datetime import datetime, timedelta
from typing import Any

from psycopg import sql

from autosync_db import cron
from autosync_db.health import ticks
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene

# the newest 1000 runs of all jobs, by primary key, and 1000 jobs: bounded; a higher number of a transaction is younger
_QUERY = """
with history as materialized (
    select d.runid, d.jobid, d.command, d.username, d.database, d.status, d.return_message, d.start_time, d.end_time, d.job_pid,
        coalesce(d.end_time, d.start_time) as written_at, age(d.xmin) as age
    from (select n.*, n.xmin from cron.job_run_details as n order by n.runid desc limit 1000) as d
),
newest as (
    select max(h.written_at) as written_at, min(h.age) as age, min(h.start_time) as oldest
    from history as h
),
launcher as (
    select max(a.query_start) as wrote_at, max(a.state_change) as at
    from pg_catalog.pg_stat_activity as a
    where a.application_name = 'pg_cron scheduler'
),
job as materialized (
    select c.jobid, coalesce(c.jobname, format('(unnamed, %s)', c.jobid)) as name, c.schedule, c.command, c.username, c.database, c.active,
        c.active and c.database = current_database()
            -- pg_cron may be set to skip theirs
            and not exists (select from pg_catalog.pg_roles as r where r.rolname = c.username and r.rolsuper) as is_on,
        j.id is not null and not j.watch as is_ours,
        greatest(autosync.server_epoch(), pg_postmaster_start_time(), j.created_at, j.updated_at) as since,
        age(c.xmin) as age
    from cron.job as c
    left join autosync.job as j on j.name = c.jobname
    order by c.jobid
    limit 1000
),
run as materialized (
    select h.*, row_number() over (partition by h.jobid order by h.runid desc) as place,
        not exists (select from cron.job as c where c.jobid = h.jobid) as is_gone,
        h.written_at >= (select n.written_at - interval '1 second' from newest as n) as is_last
    from history as h
)
select jsonb_build_object(
    'now', clock_timestamp(),
    'is_hidden', row_security_active('cron.job') or row_security_active('cron.job_run_details'),
    'sees_settings', pg_has_role('pg_read_all_settings', 'usage'),
    'zone', (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.timezone'),
    'both_days', exists (
        select from pg_catalog.pg_settings as s where s.name = 'cron.match_dom_and_dow' and s.setting = 'on'
    ),
    -- what lies before it was not looked at, or somebody deleted it
    'oldest', n.oldest,
    -- it has done nothing since it wrote down the newest run: a look into cron.job would be later
    'is_unread', coalesce(l.wrote_at between n.written_at - interval '1 ms' and n.written_at + interval '100 ms'
        and l.at < l.wrote_at + interval '100 ms', false),
    'gone', (
        select jsonb_agg(jsonb_build_object('job_id', r.jobid, 'started_at', r.start_time, 'is_last', r.is_last,
            'noted_at', case when r.age < t.age then g.value end) order by r.jobid)
        from run as r
        left join autosync.setting as s on s.name = 'gone_jobs'
        left join lateral jsonb_each_text(s.value) as g on g.key = r.jobid::text
        where r.is_gone and r.place = 1 and r.status in ('succeeded', 'failed')
            and r.return_message is distinct from 'job canceled'
            and (r.is_last or r.age < t.age and r.start_time > cast(g.value as timestamptz) + interval '2 seconds')
    ),
    'older', (
        select jsonb_agg(jsonb_build_object('job_id', j.jobid, 'job', j.name, 'started_at', r.start_time,
            'is_last', r.is_last, 'is_second', o.is_second, 'differs', d.differs) order by j.jobid)
        from job as j
        join run as r on r.jobid = j.jobid and r.place = 1
        left join run as b on b.jobid = j.jobid and b.place = 2
        cross join lateral (
            select case
                -- what was masked in the history differs, too
                when r.command <> j.command and strpos(r.command, '***') = 0 then 'text'
                when r.username <> j.username then 'role'
                when r.database <> j.database then 'database'
                when not j.active then 'off'
            end as differs
        ) as d
        -- one run may have been under way when the job was changed; what has no process was not run by pg_cron. A restore brings
        -- earlier runs of a job that is off, in one transaction
        cross join lateral (
            select coalesce(r.age < t.age and b.age < j.age and r.job_pid + b.job_pid > 0 and case d.differs
                when 'text' then b.command <> j.command
                when 'role' then b.username <> j.username and r.age < b.age
                when 'database' then b.database <> j.database and r.age < b.age
                else r.age < b.age
            end, false) as is_second
        ) as o
        where d.differs is not null and (r.is_last or o.is_second)
    ),
    'changed', (
        select jsonb_agg(jsonb_build_object('job_id', j.jobid, 'job', j.name) order by j.jobid)
        from job as j
        where j.age < n.age
    ),
    'ours', (
        select jsonb_agg(jsonb_build_object('job_id', j.jobid, 'job', j.name, 'schedule', j.schedule, 'since', j.since,
            'started_at', r.start_time, 'is_open', r.status in ('starting', 'connecting', 'sending', 'running'),
            'is_last', r.is_last))
        from job as j
        left join run as r on r.jobid = j.jobid and r.place = 1
        where j.is_ours and j.is_on
    ),
    'others_ran_at', (select max(r.start_time) from run as r),
    'is_touched', t.age < n.age
) as fact
from newest as n
cross join launcher as l
-- a change of any job has pg_cron read all of them: what it ran before that shows nothing
cross join (select coalesce(min(j.age), 2147483647) as age from job as j) as t
"""  # noqa: E501 - a line of SQL
# a run that changes jobs itself has pg_cron read the table as it ends
_CHANGES_JOBS = """
with last as (
    select d.command, coalesce(d.end_time, d.start_time) as written_at
    from (select n.* from cron.job_run_details as n order by n.runid desc limit 1000) as d
)
select exists (
    select
    from last as l
    where l.written_at >= (select max(m.written_at) from last as m) - interval '1 second'
        and (
            l.command ~* 'cron\\s*\\.|unschedule'
            or exists (
                select
                from pg_catalog.pg_proc as p
                where strpos(l.command, p.proname) > 0 and p.prosrc ~* 'cron\\s*\\.\\s*(unschedule|schedule|alter_job)'
                    and not exists (
                        select from pg_catalog.pg_depend as d
                        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'
                    )
            )
        )
)
"""
# pg_cron's process looks for changes once a second
_LAG_SECONDS = 1.5
_GRACE = timedelta(seconds=20)
_PROMPT = 10  # seconds
# how a run differs from what cron.job has
_DIFFERS = {
    "text": "ran another text {} than the one that cron.job has",
    "role": "ran as another role {} than the one that cron.job has",
    "database": "ran in another database {} than the one that cron.job has",
    "off": "ran {}, although cron.job says that it is inactive",
}


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    facts = answer.values[0]
    if facts["is_hidden"]:
        detail = "jobs of other roles are not visible to this role"
        return [Row("unknown", "table cron.job", detail, {"reason": "hidden", "table": "cron.job"})]
    found = _findings(facts)
    if found and facts["is_unread"]:
        # what was changed a moment ago it reads within a second
        time.sleep(_LAG_SECONDS)
        answer.connection.execute("select pg_stat_clear_snapshot()")
        again: list[tuple[dict[str, Any]]] = answer.connection.execute(_QUERY.encode()).fetchall()
        changes_jobs = answer.connection.execute(_CHANGES_JOBS.encode()).fetchall() == [(True,)]
        facts = again[0][0]
        found = _findings(facts | {"is_unread": facts["is_unread"] and not changes_jobs})
    return found


def _findings(facts: dict[str, Any]) -> list[Row]:
    is_unread = facts["is_unread"]
    rows = []
    for run in facts["gone"] or ():
        shown = f"ran at {_second(run['started_at'])}, and cron.job has no such job"
        if run["noted_at"] and _moment(run, "started_at") > _moment(run, "noted_at") + timedelta(seconds=2):
            shown += f", nor had it at {_second(run['noted_at'])}"
        elif not is_unread or not run["is_last"]:
            continue
        gone = {"reason": "gone", "job_id": run["job_id"], "started_at": run["started_at"]}
        rows.append(Row("critical", f"cron job number {run['job_id']}", shown, gone))
    for run in facts["older"] or ():
        if run["is_second"] or (is_unread and run["is_last"]):
            detail = _DIFFERS[run["differs"]].format(f"at {_second(run['started_at'])}")
            rows.append(_row(run, "command", detail))
    named = {row.facts["job_id"] for row in rows}
    if is_unread:
        changed = [job for job in facts["changed"] or () if job["job_id"] not in named]
        rows += [_row(job, "changed", "was changed in cron.job, and pg_cron has not read it") for job in changed]
        named |= {job["job_id"] for job in changed}
    if facts["sees_settings"]:
        ours = [_not_run(job, facts) for job in facts["ours"] or () if job["job_id"] not in named]
        rows += [row for row in ours if row]
    return rows


def _not_run(job: dict[str, Any], facts: dict[str, Any]) -> Row | None:
    """Return a finding on one of ours that pg_cron, which runs others, does not run, or at times that are not its."""
    since, now, others = ticks.moment(job["since"]), _moment(facts, "now"), ticks.moment(facts["others_ran_at"])
    last = ticks.moment(job["started_at"])
    if job["is_open"] or since is None or others is None or cron.every(job["schedule"]):
        return None
    if oldest := ticks.moment(facts["oldest"]):
        since = max(since, oldest)
    zone, both_days = facts["zone"], facts["both_days"]
    expected = ticks.missed(job["schedule"], last, since, now, zone=zone, both_days=both_days)
    if expected and others > expected[1] and not facts["is_touched"]:
        seen = f"ran last at {ticks.shown(last)}" if last else "never ran"
        detail = f"{seen}, although it should have at {ticks.shown(expected[0])} and other jobs ran after that"
        return _row(job, "not_run", detail)

    if not facts["is_unread"]:
        return None

    def is_due(moment: datetime) -> bool:
        tick = moment.replace(second=0, microsecond=0)
        found = cron.ticks_after(job["schedule"], tick - timedelta(seconds=1), zone, both_days=both_days, count=1)
        return found == [tick]

    tick = others.replace(second=0, microsecond=0)
    is_settled = since < tick - _GRACE and now > tick + _GRACE
    if is_settled and is_due(tick) and not (last and last >= tick):
        return _row(job, "not_run", f"did not run at {ticks.shown(tick)}, when pg_cron ran other jobs")
    # one that had to wait for another begins at any second
    if last and job["is_last"] and last.second < _PROMPT and not is_due(last):
        return _row(job, "schedule", f"ran at {ticks.shown(last)}, which is no time of its schedule {job['schedule']}")
    return None


def _row(job: dict[str, Any], reason: str, detail: str) -> Row:
    facts = {"reason": reason, "job_id": job["job_id"], "job": job["job"]}
    return Row("critical", f"cron job {job['job']}", detail, facts)


def _moment(facts: dict[str, Any], name: str) -> datetime:
    return datetime.fromisoformat(facts[name])


def _second(text: str | None) -> str:
    found = ticks.moment(text)
    return "a time that is not known" if found is None else f"{found:%H:%M:%S} UTC"


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Change nothing of one of our jobs, which makes pg_cron read all of them."""
    found = scene.value(
        "select c.jobid from cron.job as c join autosync.job as j on j.name = c.jobname and not j.watch"
        " where c.username = %s order by c.jobid limit 1",
        [scene.owner],
    )
    if found is None:
        way = "select cron.unschedule(cron.schedule('0 0 1 1 *', 'select 1'))"
        return [Refusal("there is no job of ours to change", f"any change of a job does it: {way}")]
    touch = sql.SQL("select cron.alter_job(c.jobid, schedule := c.schedule) from cron.job as c where c.jobid = {}")
    return [Repair("let pg_cron read its jobs again", [touch.format(sql.Literal(found))])]


CHECK = Check(
    layer="cron",
    claim="the jobs in the memory of pg_cron's process match cron.job",
    remedy="autosync-db repair launcher_matches_table",
    needs=("head_applied", "pg_cron_installed", "privileges_sufficient"),
    causes=(
        "pg_cron_installed",
        "pg_cron_scheduler_running",
        "pg_cron_not_blocked",
        "cron_database_matches",
        "cron_job_roles_exist",
        "cron_run_sequence_ahead",
        "no_triggers_on_cron_tables",
        "cron_jobs_launched",
        "cron_slots_free",
        "server_writable",
    ),
    repair=_draft,
    question=Question(_query, _read),
)
