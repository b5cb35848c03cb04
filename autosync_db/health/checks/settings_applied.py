"""Autosync.toml and the database agree on the jobs and settings."""

import psycopg
from psycopg import sql

from autosync_db.config import HOUSEKEEPING_JOB, Configuration, Settings
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.jobs import columns, doubles, plan, registry, undeclared
from autosync_db.jobs.doubles import Double

# the parts of the query that depend on the settings
_WANTED, _UNEQUAL, _NAMES, _ELSEWHERE = "{wanted}", "{unequal}", "{names}", "{elsewhere}"

_QUERY = """
select jsonb_build_object('job', w.name, 'is_registered', p.id is not null, 'columns', array_remove(array[{unequal}], null)) as fact
from ({wanted}) as w
left join autosync.job as p on p.name = w.name
union all
select jsonb_build_object('job', j.name, 'is_registered', true, 'columns', null)
from (select o.name from autosync.job as o where o.name <> all ({names}) order by o.id limit 1000) as j
union all
select jsonb_build_object('job', j.name, 'is_registered', true, 'columns', '["enabled"]'::jsonb, 'elsewhere', true)
from autosync.job as j
where j.name = any ({elsewhere}) and j.enabled and not j.watch
union all
"""  # noqa: E501 - a line of SQL
# where no file names a job, what it may say of all of them
_RETENTION = """
select jsonb_build_object('job', j.name, 'is_registered', true, 'columns', array_remove(array[
    case when j.keep_invocations <> {invocations} then 'keep_invocations' end,
    case when j.keep_run_details <> {job_run_details} then 'keep_run_details' end
], null)) as fact
from autosync.job as j
where j.name <> {housekeeping}
union all
"""
_TICKING = """
select c.jobname::text
from cron.job as c
where c.active and c.command = autosync.job_command(c.jobname)
"""
_SETTINGS = """
select jsonb_build_object('table', w.name, 'value', s.value)
from unnest(cast({chosen} as text[])) as w (name)
left join autosync.setting as s on s.name = w.name
"""


def _query(configuration: Configuration) -> str:
    settings = configuration.settings
    last = sql.SQL(_SETTINGS).format(chosen=sql.Literal(list(plan.chosen(settings)))).as_string()
    if not settings.names_jobs:
        return _of_retention(settings) + last
    unequal = sql.SQL(", ").join(
        sql.SQL("case when p.{0} is distinct from w.{0} then {1} end").format(sql.Identifier(name), sql.Literal(name))
        for name in columns.CHANGEABLE
    )
    parts = {
        _WANTED: plan.wanted(settings).as_string(),
        _UNEQUAL: unequal.as_string(),
        _NAMES: sql.Literal([*settings.jobs, *settings.elsewhere, HOUSEKEEPING_JOB]).as_string() + "::text[]",
        _ELSEWHERE: sql.Literal(settings.paused_here).as_string() + "::text[]",
    }
    text = _QUERY
    for name, part in parts.items():
        text = text.replace(name, part)
    return text + last


def _of_retention(settings: Settings) -> str:
    if "retention" not in settings.model_fields_set:
        return "select null::jsonb as fact where false union all"
    kept = {name: sql.Literal(value) for name, value in settings.retention}
    return sql.SQL(_RETENTION).format(housekeeping=sql.Literal(HOUSEKEEPING_JOB), **kept).as_string()


def _read(answer: Answer) -> list[Row]:
    settings = answer.configuration.settings
    chosen = plan.chosen(settings)
    waiting, done, ticking = _waiting(answer)
    rows = []
    for found in answer.values:
        if "table" in found:
            wanted, default = chosen[found["table"]]
            if (found["value"] or default) != wanted:
                detail = f"differs from [{found['table']}] in autosync.toml"
                rows.append(_row("warning", f"setting {found['table']}", detail, "changed"))
        elif found["columns"] is None:
            rows.append(_row("ok", f"job {found['job']}", "is not in autosync.toml, and kept", "extra", found["job"]))
        elif not found["is_registered"] and found["job"] in waiting:
            detail = "is in autosync.toml, and the cron job of that name, which somebody else made, runs its own text"
            row = _row("warning", f"job {found['job']}", detail, "waiting", found["job"])
            row.facts["name"] = found["job"]
            rows.append(row)
        elif not found["is_registered"] and found["job"] in done:
            double = done[found["job"]]
            detail = f"is in autosync.toml, and the cron job number {double.job.id} {double.does} already"
            # of its own name none exists; job_scheduled says so of the same object
            row = _row("critical", f"cron job {found['job']}", detail, "double", found["job"])
            row.facts.update(name=found["job"], number=double.job.id)
            rows.append(row)
        elif not found["is_registered"] and found["job"] in ticking:
            detail = (
                "is in autosync.toml, and not in autosync.job, where its cron job looks for it: each of its runs fails"
            )
            rows.append(_row("critical", f"job {found['job']}", detail, "missing", found["job"]))
        elif not found["is_registered"]:
            detail = "is in autosync.toml, and not in the database"
            rows.append(_row("warning", f"job {found['job']}", detail, "missing", found["job"]))
        elif found.get("elsewhere"):
            targets = ", ".join(settings.elsewhere[found["job"]].targets or [])
            detail = f"runs here, and by autosync.toml only on {targets}"
            rows.append(_row("warning", f"job {found['job']}", detail, "elsewhere", found["job"]))
        elif found["columns"]:
            detail = f"differs from autosync.toml in {', '.join(found['columns'])}"
            row = _row("warning", f"job {found['job']}", detail, "changed", found["job"])
            row.facts["columns"] = found["columns"]
            rows.append(row)
    return rows


def _waiting(answer: Answer) -> tuple[set[str], dict[str, Double], set[str]]:
    """Return the jobs of the file whose cron job somebody else made, and those that another cron job does already.

    And those whose cron job is ours, and has lost its row in autosync.job.
    """
    if all("table" in found or found["is_registered"] for found in answer.values):
        return set(), {}, set()
    configuration = answer.configuration
    settings, url = configuration.settings, configuration.target.project_url
    try:
        with answer.connection.transaction():
            declared = undeclared.declared_jobs(configuration)
            taken = set(registry.taken(answer.connection, settings, declared))
            ticking = {name for (name,) in answer.connection.execute(_TICKING).fetchall()}
            return taken, {one.name: one for one in doubles.of_new_jobs(answer.connection, settings, url)}, ticking
    except psycopg.DatabaseError:
        return set(), {}, set()  # it may not be looked at


def _row(status: str, object: str, detail: str, reason: str, job: str | None = None) -> Row:
    return Row(status, object, detail, {"reason": reason, "job": job})


CHECK = Check(
    layer="job",
    claim="autosync.toml and the database agree on the jobs and settings",
    remedy="autosync-db setup",
    # `setup` leaves what somebody else made alone
    remedies={
        "waiting": "autosync-db jobs adopt {name}",
        "double": "autosync-db jobs adopt {name} --from {number}",
    },
    needs=("head_applied", "privileges_sufficient"),
    causes=("head_applied",),
    question=Question(lambda: "autosync.job, autosync.adopted, autosync.setting", _read, _query),
)
