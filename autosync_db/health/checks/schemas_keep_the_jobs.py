"""The project's declarative schemas keep the jobs and what they need."""

from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.jobs.undeclared import SCHEMA, files_of

_QUERY = """
select to_jsonb(j.name) as fact
from autosync.job as j
where not j.watch and exists (select from cron.job as c where c.jobname = j.name)
order by j.id
limit 1000
"""


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    names = [str(name) for name in answer.values]
    found = files_of(answer.configuration) if names else None
    if found is None:
        return []
    schema, jobs = found.lacks([SCHEMA]), found.lacks(names)
    place, count = str(found.folder.name), len(found.files)
    files = (
        f"the {count} schema files of {place}/" if count > 1 else f"the files of {place}/, {found.files[0].name} alone,"
    )
    if (schema or jobs) and not found.is_whole:
        return [
            Row("unknown", f"folder {place}", f"{files} are too many or too large to be read", {"reason": "too_large"})
        ]
    rows = []
    if schema:
        detail = f"{files} do not have the schema {SCHEMA}: the next migration of supabase db diff would drop it"
        rows.append(Row("warning", f"folder {place}", detail, {"reason": "schema", "schema": SCHEMA, "count": count}))
    if jobs:
        shown = ", ".join(jobs[:5]) + (f" and {len(jobs) - 5} more" if len(jobs) > 5 else "")
        detail = (
            f"{files} do not schedule {shown}: the next migration of supabase db diff would unschedule what they lack"
        )
        rows.append(Row("warning", f"folder {place}", detail, {"reason": "jobs", "names": jobs, "count": count}))
    return rows


CHECK = Check(
    layer="neighbours",
    claim="the project's declarative schemas keep the jobs and what they need",
    remedy="autosync-db export supabase --schemas",
    needs=("head_applied", "pg_cron_installed", "privileges_sufficient"),
    question=Question(_query, _read),
)
