"""Housekeeping runs, and records the outcome of the calls."""

from typing import Any

from psycopg import sql

from autosync_db import cron
from autosync_db.config import HOUSEKEEPING_JOB
from autosync_db.health import drafts, second_jobs, ticks
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene

_OBJECT = f"cron job {HOUSEKEEPING_JOB}"
_UNSCHEDULE = sql.SQL("select cron.unschedule(c.jobid) from cron.job as c where c.jobname = {}")

# of the runs of all jobs the newest 1000, of the calls without an outcome the oldest 1000: bounded
_QUERY = """
select jsonb_build_object(
    'is_registered', j.id is not null,
    'paused_by', j.paused_by,
    'paused_at', j.paused_at,
    'schedule', c.schedule,
    'active', c.active,
    'is_ours', c.command = autosync.job_command(c.jobname),
    'registered_schedule', j.schedule,
    'role', c.username,
    'owner', o.owner,
    'database', c.database,
    'is_here', c.database = current_database(),
    'address', format('%s:%s', c.nodename, c.nodeport),
    'is_other_port', c.nodeport <> current_setting('port')::integer,
    'now', now(),
    'since', greatest(autosync.server_epoch(), pg_postmaster_start_time(), j.created_at, j.updated_at),
    'zone', (select s.setting from pg_catalog.pg_settings as s where s.name = 'cron.timezone'),
    'sees_jobs', not row_security_active('cron.job'),
    'history', HISTORY,
    'newest_run', h.newest_run,
    'waiting', w.calls,
    'waiting_since', w.since
) as fact
from (values ('autosync-keep-house')) as house (name)
left join autosync.job as j on j.name = house.name
left join lateral (
    select o.* from cron.job as o where o.jobname = house.name order by o.jobid limit 1
) as c on true
left join lateral (
    select pg_get_userbyid(n.nspowner) as owner from pg_catalog.pg_namespace as n where n.nspname = 'autosync'
) as o on true
cross join lateral (
    select (array_agg(
            jsonb_build_object('run_id', d.runid, 'status', d.status, 'message', d.return_message,
                'started_at', d.start_time)
            order by d.runid desc
        ) filter (
            where d.jobid = c.jobid and coalesce(d.return_message, '') not in ('server restarted', 'job canceled')
        ))[1] as newest_run
    from (select i.* from cron.job_run_details as i order by i.runid desc limit 1000) as d
) as h
cross join lateral (
    select count(*) as calls, min(o.queued_at) as since
    from (
        select i.request_id, i.queued_at, i.timeout_milliseconds, i.outcome, i.report_due_at
        from autosync.invocation as i
        where i.outcome = 'pending'
        order by i.id
        limit 1000
    ) as o
    where o.queued_at + make_interval(secs => o.timeout_milliseconds / 1000.0) < now() - interval '10 minutes'
        -- what pg_net has not sent yet is a matter of pg_net_queue_drains
        and not exists (select from net.http_request_queue as q where q.id = o.request_id)
) as w
""".replace("HISTORY", ticks.HISTORY)


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    facts = answer.values[0]
    found = _fault(facts)
    if found is None:
        return []
    status, reason, detail = found
    if facts["waiting"]:
        since = ticks.shown(ticks.moment(facts["waiting_since"]))
        detail += f"; the outcome of {facts['waiting']} calls since {since} is not written down"
    evidence = {"reason": reason, "job": HOUSEKEEPING_JOB, "count": facts["waiting"]}
    return [Row(status, _OBJECT, detail, evidence)]


def _fault(facts: dict[str, Any]) -> tuple[str, str, str] | None:
    """Return status, reason and words of what is wrong with housekeeping, None for nothing."""
    if facts["active"] is None or not facts["is_registered"]:
        if not facts["sees_jobs"]:
            return "unknown", "hidden", "is not visible to this role; connect as the role that owns it"
        return "critical", "missing", "does not exist" if facts["active"] is None else "is not in autosync.job"
    if facts["paused_at"] is not None:
        since = ticks.shown(ticks.moment(facts["paused_at"]))
        return "warning", "paused", f"was paused by {facts['paused_by']} at {since}"
    if not facts["active"]:
        return "critical", "inactive", "is inactive"
    if not facts["is_ours"]:
        return "critical", "command", "runs something else than autosync.keep_house()"
    if facts["role"] != facts["owner"]:
        return "critical", "owner", f"belongs to the role {facts['role']}, not to {facts['owner']}"
    if not facts["is_here"]:
        return "critical", "elsewhere", f"runs in the database {facts['database']}, where it finds nothing of ours"
    if cron.plain(facts["schedule"]) != cron.plain(facts["registered_schedule"]) and _never_comes(facts):
        detail = f'its schedule "{facts["schedule"]}" never comes; autosync.job says "{facts["registered_schedule"]}"'
        return "critical", "schedule", detail
    return _fault_of_runs(facts)


def _never_comes(facts: dict[str, Any]) -> bool:
    schedule, now = facts["schedule"], ticks.moment(facts["now"])
    if now is None or cron.every(schedule):
        return False
    return not cron.ticks_after(schedule, now, facts["zone"], count=1)


def _fault_of_runs(facts: dict[str, Any]) -> tuple[str, str, str] | None:
    now, since = ticks.moment(facts["now"]), ticks.moment(facts["since"])
    recorded = since and ticks.recorded_since(facts["history"], since)
    # one that was recorded before nothing was any more says nothing of today
    run = {} if facts["history"]["is_off"] else facts["newest_run"] or {}
    if run.get("status") == "failed":
        message = (run["message"] or "").removeprefix("ERROR:").strip().partition("\n")[0]
        if message == "connection failed" and facts["is_other_port"]:
            return "critical", "elsewhere", f"its newest run could not connect: it goes to {facts['address']}"
        return "critical", "failed", f"its newest run failed: {message}"
    started = ticks.moment(run.get("started_at"))
    if now and recorded and (expected := ticks.missed(facts["schedule"], started, recorded, now, zone=facts["zone"])):
        if run and run["status"] != "succeeded":
            return "critical", "stuck", f"run {run['run_id']} has been going since {ticks.shown(started)}"
        seen = f"it ran last at {ticks.shown(started)}" if started else "it never ran"
        return "critical", "no_run", f"{seen}, and should have at {ticks.shown(expected[0])}"
    waits = ticks.moment(facts["waiting_since"])
    # where no run is recorded, what waits for it is all that shows whether it works
    if facts["waiting"] and (recorded is None or (started and waits and started > waits)):
        return "critical", "unsettled", "runs, but does not do its work: the server's log has its warnings"
    return None


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Register and schedule housekeeping again."""
    name = sql.Literal(HOUSEKEEPING_JOB)
    if "owner" in scene.reasons:
        return _taken_back(scene)
    if not scene.reasons & {"missing", "inactive", "command", "schedule", "elsewhere"}:
        return [_refusal(scene)]
    statements: list[sql.Composable] = [
        # what is scheduled again gets this server's address, and this database
        *([_UNSCHEDULE.format(name)] if "elsewhere" in scene.reasons else []),
        sql.SQL(
            "insert into autosync.job (name, sql, schedule)"
            " values ({}, 'select autosync.keep_house()', autosync.house_schedule()) on conflict (name) do nothing"
        ).format(name),
        drafts.SYNC.format(name),
    ]
    overwrites = "command" in scene.reasons
    sentence = "overwrite the command of the job" if overwrites else "schedule the job"
    return [Repair(f"{sentence} {HOUSEKEEPING_JOB}", statements, destructive=overwrites)]


def _taken_back(scene: Scene) -> list[Repair | Refusal]:
    (found,) = scene.rows(
        "select c.jobid, c.username from cron.job as c where c.jobname = %s order by c.jobid limit 1",
        [HOUSEKEEPING_JOB],
    )
    number, role = found
    ended = second_jobs.end(scene, number, role, HOUSEKEEPING_JOB)
    if isinstance(ended, Refusal):
        return [ended]
    sync = drafts.SYNC.format(sql.Literal(HOUSEKEEPING_JOB))
    statements = [*ended.statements, *drafts.acting_as(scene, str(scene.owner), sync)]
    return [Repair(f"{ended.sentence}, and schedule it as {scene.owner}", statements, destructive=True, as_owner=False)]


def _refusal(scene: Scene) -> Refusal:
    if "paused" in scene.reasons:
        return Refusal("it was paused", f"end the pause: autosync-db jobs resume {HOUSEKEEPING_JOB}")
    if "stuck" in scene.reasons:
        way = "select pg_cancel_backend(pid) from pg_stat_activity where query like 'select autosync.keep_house()%'"
        return Refusal("a run of it does not end", f"as its owner run: {way}")
    return Refusal("it is scheduled as it should be", "run it and see its error: select autosync.keep_house()")


CHECK = Check(
    layer="job",
    claim="housekeeping runs, and records the outcome of the calls",
    remedy="autosync-db repair housekeeping_runs",
    needs=("head_applied", "pg_cron_installed", "pg_net_installed", "privileges_sufficient"),
    causes=(
        "head_applied",
        "pg_cron_installed",
        "pg_cron_scheduler_running",
        "server_writable",
        "cron_database_matches",
        "cron_job_roles_exist",
        "cron_run_sequence_ahead",
        "pg_cron_not_blocked",
        "no_triggers_on_cron_tables",
        "cron_jobs_launched",
        "cron_slots_free",
        "launcher_matches_table",
        "objects_current",
        "private_schema_is_ours",
        "job_can_connect",
        "job_settings_bearable",
    ),
    repair=_draft,
    question=Question(_query, _read),
)
