"""No second job makes the same calls.

The same are calls with the same method, path, query, body and headers at the same times, wherever their text has them
from. A second tick of the job itself is one at any time.
"""

from typing import Any

from psycopg import sql

from autosync_db import cron
from autosync_db.errors import UsageError
from autosync_db.health import drafts, other_jobs
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene
from autosync_db.remedies import ByYou

_QUERY = f"""
with own as materialized (
    select c.jobid, c.schedule, regexp_replace(autosync.job_command(checked.name), '[\\s;]+$', '') as command,
        j.function, j.url, j.method, j.body, j.headers, j.sql
    from cron.job as c
    left join autosync.job as j on j.name = c.jobname
    where c.jobname = checked.name
    order by c.username = (
            select pg_get_userbyid(p.proowner)
            from pg_catalog.pg_proc as p
            where p.oid = to_regprocedure('autosync.sync_job(text)')
        ) desc, c.jobid
    limit 1
),
-- cleaned once for each job, not for each pair of jobs: the same for whatever job is checked
written as materialized (
    select c.jobid, c.jobname, c.username, c.schedule, c.command, c.active, c.database,
        regexp_replace(regexp_replace(c.command, '^\\s*select\\s+', 'select ', 'i'), '[\\s;]+$', '') as statement
    from cron.job as c
)
select jsonb_build_object('job_id', c.jobid, 'job', c.jobname, 'role', c.username, 'schedule', c.schedule,
    'own_schedule', o.schedule, 'is_statement', o.sql is not null,
    'is_at_any_time', c.jobname = checked.name or o.sql is null and text.is_tick,
    'is_registered',
        exists (select from autosync.job as j where j.name = c.jobname and c.jobname <> checked.name)) as fact
from own as o
join written as c on c.jobid <> o.jobid
cross join lateral (
    select c.statement in (o.command, format('select autosync.dispatch(%L)', checked.name)) as is_tick
) as text
where c.jobname = checked.name
    or c.active
    and c.database = current_database()
    and (
        case when o.sql is null then text.is_tick else c.statement = o.command end
        or exists (
            select from autosync.job as j
            where j.name = c.jobname
                and j.sql is null and o.sql is null and not j.watch
                and j.function is not distinct from o.function
                and j.url is not distinct from o.url
                and j.method = o.method
                and j.body is not distinct from o.body
                and j.headers = o.headers
                and c.command = autosync.job_command(j.name)
        )
    )
union all
select jsonb_build_object('own', to_jsonb(o), 'is_hidden', row_security_active('cron.job'),
    'roles', (select jsonb_agg(r.rolname) from pg_catalog.pg_roles as r where pg_has_role(r.oid, 'member')),
    'are_there', o.sql is null and {other_jobs.ARE_THERE})
from (select) as always
left join own as o on true
"""  # noqa: S608 - our own text

_PAUSE = sql.SQL(
    "update autosync.job set paused_at = clock_timestamp(), paused_by = session_user"
    " where name = {} and paused_at is null"
)


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    *same, about = sorted(answer.values, key=lambda facts: "own" in facts)
    rows = {}
    for twin in same:
        if twin["is_at_any_time"] or cron.plain(twin["schedule"]) == cron.plain(twin["own_schedule"]):
            what = "runs the same statement" if twin["is_statement"] else "makes the same calls"
            rows[twin["job_id"]] = _row(twin, what, about)
    own = about["own"]
    if own is not None and about["are_there"] and (own["function"] or own["url"]):
        from autosync_db.jobs import twins

        effect = twins.comparable(**{name: own[name] for name in ("method", "body", "headers", "function", "url")})
        try:
            others = other_jobs.read(answer)
        except UsageError as error:
            # other_jobs_unique says unknown
            detail = f"were not compared: {error.message}"
            return [*rows.values(), Row("ok", "texts of other jobs", detail, {"reason": "no_parser"})]
        for job in others:
            if job.effect == effect and cron.plain(job.schedule) == cron.plain(own["schedule"]):
                twin = {"job_id": job.id, "job": job.name, "role": job.role, "schedule": job.schedule}
                through = f" through the function {job.through}" if job.through else ""
                rows[job.id] = _row(twin, f"makes the same calls{through}", about)
    if about["is_hidden"]:
        detail = "jobs of other roles are not visible to this role"
        rows[0] = Row("unknown", f"cron job {answer.job}", detail, {"reason": "hidden", "table": "cron.job"})
    return sorted(rows.values(), key=lambda row: row.detail)


def _row(twin: dict[str, Any], what: str, about: dict[str, Any]) -> Row:
    name = twin["job"] or "(unnamed)"
    detail = f"job {twin['job_id']} of role {twin['role']} {what} ({twin['schedule']})"
    facts = {name: twin[name] for name in ("job_id", "job", "role")} | {"cron_schedule": twin["schedule"]}
    # pausing one of ours needs no role but the owner's
    if not twin.get("is_registered") and twin["role"] not in (about["roles"] or ()):
        facts["reason"] = "out_of_reach"
    return Row("critical", f"cron job {name}", detail, facts)


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Unschedule the jobs that make the same calls, and pause those that are registered here; ours stays."""
    done: list[str] = []
    statements: list[sql.Composable] = []
    refused: list[Repair | Refusal] = []
    for number, name, role, is_registered in scene.cron_jobs(scene.named("job_id")):
        if is_registered and name != scene.job:
            pause = _PAUSE.format(sql.Literal(name)), drafts.SYNC.format(sql.Literal(name))
            statements += drafts.acting_as(scene, str(scene.owner), *pause)
            done.append(f"pause job {number}")
        elif drafts.may_unschedule(scene, role):
            statements += drafts.unschedule(scene, number, role)
            done.append(f"unschedule job {number} of {role}")
        else:
            refused.append(
                Refusal(
                    f"job {number} belongs to the role {role}, and {scene.me} may not act as it",
                    f"as {role} or a superuser run: select cron.unschedule({number});",
                )
            )
    if not statements:
        return refused
    return [Repair(", ".join(done), statements, destructive=True, as_owner=False), *refused]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="no second job makes the same calls",
    remedy="autosync-db repair job_unique",
    remedies={
        "out_of_reach": ByYou("select cron.unschedule({job_id})", where="as the role {role} or a superuser"),
    },
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    repair=_draft,
    question=Question(_query, _read),
)
