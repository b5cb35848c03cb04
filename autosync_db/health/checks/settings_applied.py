"""Autosync.toml and the database agree on the jobs."""

from psycopg import sql

from autosync_db.config import HOUSEKEEPING_JOB, Configuration
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.jobs import columns, plan

# the parts of the query that depend on the settings
_WANTED, _UNEQUAL, _NAMES = "{wanted}", "{unequal}", "{names}"

_QUERY = """
select jsonb_build_object('job', w.name, 'is_registered', p.id is not null, 'columns', array_remove(array[{unequal}], null)) as fact
from ({wanted}) as w
left join autosync.job as p on p.name = w.name
union all
select jsonb_build_object('job', j.name, 'is_registered', true, 'columns', null)
from (select o.name from autosync.job as o where o.name <> all ({names}) order by o.id limit 1000) as j
union all
select jsonb_build_object('sections', (
    select coalesce(jsonb_object_agg(s.name, s.value), '{}') from autosync.setting as s where s.name in ('limits', 'alerts')
))
"""  # noqa: E501 - a line of SQL


def _query(configuration: Configuration) -> str:
    settings = configuration.settings
    if not settings.names_jobs:
        return "select null::jsonb as fact from autosync.job as j where false"
    unequal = sql.SQL(", ").join(
        sql.SQL("case when p.{0} is distinct from w.{0} then {1} end").format(sql.Identifier(name), sql.Literal(name))
        for name in columns.CHANGEABLE
    )
    parts = {
        _WANTED: plan.wanted(settings).as_string(),
        _UNEQUAL: unequal.as_string(),
        _NAMES: sql.Literal([*settings.jobs, HOUSEKEEPING_JOB]).as_string() + "::text[]",
    }
    text = _QUERY
    for name, part in parts.items():
        text = text.replace(name, part)
    return text


def _read(answer: Answer) -> list[Row]:
    settings = answer.configuration.settings
    rows = []
    for found in answer.values:
        if "sections" in found:
            rows += [
                _row("warning", f"setting {name}", f"differs from [{name}] in autosync.toml", "changed")
                for name, wanted in plan.sections(settings).items()
                if found["sections"].get(name) != wanted
            ]
        elif found["columns"] is None:
            rows.append(_row("ok", f"job {found['job']}", "is not in autosync.toml, and kept", "extra", found["job"]))
        elif not found["is_registered"]:
            detail = "is in autosync.toml, and not in the database"
            rows.append(_row("warning", f"job {found['job']}", detail, "missing", found["job"]))
        elif found["columns"]:
            detail = f"differs from autosync.toml in {', '.join(found['columns'])}"
            row = _row("warning", f"job {found['job']}", detail, "changed", found["job"])
            row.facts["columns"] = found["columns"]
            rows.append(row)
    return rows


def _row(status: str, object: str, detail: str, reason: str, job: str | None = None) -> Row:
    return Row(status, object, detail, {"reason": reason, "job": job})


CHECK = Check(
    layer="job",
    claim="autosync.toml and the database agree on the jobs",
    remedy="autosync-db setup",
    needs=("head_applied", "privileges_sufficient"),
    causes=("head_applied",),
    question=Question(lambda: "autosync.job, autosync.adopted, autosync.setting", _read, _query),
)
