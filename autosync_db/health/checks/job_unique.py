"""No second job makes the same calls.

The same are calls with the same address, method, query, body, headers and secrets of their own at the same times,
wherever their text has them from. A second tick of the job itself is one at any time.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import psycopg
from psycopg import sql

from autosync_db import cron
from autosync_db.credentials import store
from autosync_db.errors import UnreachableError, UsageError
from autosync_db.health import drafts, other_jobs, second_jobs
from autosync_db.health.model import Answer, Check, Question, Refusal, Repair, Row, Scene
from autosync_db.remedies import ByYou

if TYPE_CHECKING:
    from autosync_db.jobs.twins import OtherJob

_QUERY = f"""
with own as materialized (
    select c.jobid, c.schedule, regexp_replace(autosync.job_command(checked.name), '[\\s;]+$', '') as command,
        j.function, j.url, j.method, j.body, j.headers, j.sql, j.auth, j.secret_name, j.secret_header, j.secret_prefix
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
    'is_tick', text.is_tick, 'is_at_any_time', c.jobname = checked.name or o.sql is null and text.is_tick,
    'is_registered',
        exists (
            select from autosync.job as j where j.name = c.jobname and c.jobname <> checked.name and not j.watch
        )) as fact
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
                and (j.auth <> 'secret' and o.auth <> 'secret'
                    or (j.auth, j.secret_name, j.secret_header, j.secret_prefix)
                        = (o.auth, o.secret_name, o.secret_header, o.secret_prefix))
                and c.command = autosync.job_command(j.name)
        )
    )
union all
select jsonb_build_object('own', to_jsonb(o), 'is_hidden', row_security_active('cron.job'),
    'roles', (select jsonb_agg(r.rolname) from pg_catalog.pg_roles as r where pg_has_role(r.oid, 'member')),
    'are_there', o.sql is null and {other_jobs.ARE_THERE_AT_ALL})
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
        if twin["is_at_any_time"] or cron.same(twin["schedule"], twin["own_schedule"]):
            rows[twin["job_id"]] = _row(twin, _what(twin, answer), about)
    own = about["own"]
    if own is not None and about["are_there"] and (own["function"] or own["url"]):
        try:
            others = other_jobs.read(answer)
        except UsageError as error:
            # other_jobs_unique says unknown
            detail = f"were not compared: {error.message}"
            return [*rows.values(), Row("ok", "texts of other jobs", detail, {"reason": "no_parser"})]
        for row in _others(answer, others, about):
            rows.setdefault(row.facts["job_id"], row)
    if about["is_hidden"]:
        detail = "jobs of other roles are not visible to this role"
        rows[0] = Row("unknown", f"cron job {answer.job}", detail, {"reason": "hidden", "table": "cron.job"})
    return sorted(rows.values(), key=lambda row: row.detail)


def _what(twin: dict[str, Any], answer: Answer) -> str:
    if twin["job"] == answer.job and not twin["is_tick"]:
        return "has the same name"
    return "runs the same statement" if twin["is_statement"] else "makes the same calls"


def _others(answer: Answer, others: "list[OtherJob]", about: dict[str, Any]) -> Iterator[Row]:
    """Yield the jobs that are not ours and whose text, as far as it is understood, makes the same calls."""
    from autosync_db.jobs import found
    from autosync_db.jobs.texts import sameness

    own, facts = about["own"], found.DatabaseFacts(answer.connection, None)
    call = sameness.own(own, _project_url(answer), facts.stored).certain
    for job in others:
        through = f" through the function {job.through}" if job.through else ""
        twin = {"job_id": job.id, "job": job.name, "role": job.role, "schedule": job.schedule}
        if job.ticks(str(answer.job)):
            yield _row(twin, f"makes the same calls{through}", about)
        elif call is None or job.sent is None or not cron.same(job.schedule, own["schedule"]):
            continue
        elif call.is_same(job.sent, facts):
            yield _row(twin, f"makes the same calls{through}", about)
        elif not job.is_watched and (host := call.other_host(job.sent, facts)):
            row = _row(twin, f"makes the same calls to another address, {host}{through}", about)
            yield replace(row, status="warning", facts=row.facts | {"reason": "other_address"})


def _project_url(answer: Answer) -> str | None:
    try:
        with answer.connection.transaction():
            return store.project_url(answer.connection)
    except (UnreachableError, psycopg.DatabaseError):
        # secrets_present and secrets_readable_by_job say so
        return None


def _row(twin: dict[str, Any], what: str, about: dict[str, Any]) -> Row:
    name = twin["job"] or "(unnamed)"
    detail = f"job {twin['job_id']} of role {twin['role']} {what} ({twin['schedule']})"
    facts = {name: twin[name] for name in ("job_id", "job", "role")} | {"cron_schedule": twin["schedule"]}
    # pausing one of ours needs no role but the owner's
    if not twin.get("is_registered") and twin["role"] not in (about["roles"] or ()):
        facts["reason"] = "out_of_reach"
    return Row("critical", f"cron job {name}", detail, facts)


def _draft(scene: Scene) -> list[Repair | Refusal]:
    """Switch off the jobs that make the same calls, and pause those that are registered here; ours stays.

    Nothing that somebody wrote is dropped: one that has the same name under another role gets a name of its own.
    """
    done: list[str] = []
    statements: list[sql.Composable] = []
    refused: list[Repair | Refusal] = []
    numbers = [facts["job_id"] for facts in scene.findings if facts.get("reason") != "other_address"]
    for number, name, role, is_registered in scene.cron_jobs([one for one in numbers if one is not None]):
        if is_registered and name != scene.job:
            pause = _PAUSE.format(sql.Literal(name)), drafts.SYNC.format(sql.Literal(name))
            statements += drafts.acting_as(scene, str(scene.owner), *pause)
            done.append(f"pause job {number}")
            continue
        made = second_jobs.end(scene, number, role, scene.job if is_registered else None)
        if isinstance(made, Refusal):
            refused.append(made)
        else:
            statements += made.statements
            done.append(made.sentence)
    if not statements:
        return refused
    return [Repair(", ".join(done), statements, destructive=True, as_owner=False), *refused]


CHECK = Check(
    layer="job",
    scope="scheduled",
    claim="no second job makes the same calls",
    remedy="autosync-db repair job_unique",
    remedies={
        "out_of_reach": ByYou(
            "select cron.alter_job({job_id}, active := false)", where="as the role {role} or a superuser"
        ),
        "other_address": ByYou(
            "where it is meant, say so in autosync.toml: [jobs.NAME] watch = true; else correct its address, or switch"
            " it off: select cron.alter_job({job_id}, active := false)"
        ),
    },
    needs=("pg_cron_installed", "head_applied", "privileges_sufficient"),
    repair=_draft,
    question=Question(_query, _read),
)
