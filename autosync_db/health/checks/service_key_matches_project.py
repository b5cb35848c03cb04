"""The key, the URL and this database belong to one project."""

import re

from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.jobs import binding
from autosync_db.supabase import address

_QUERY = """
select jsonb_build_object(
    'url', (select s.secret from autosync.stored_secrets() as s where s.name = 'project_url'),
    'has_key', exists (select from autosync.service_key_facts()),
    'needs_key', 'service_role_key' = any (autosync.needed_secrets(checked.name)),
    -- and needs no secret
    'is_off', autosync.secrets_hidden() is null and exists (
        select from autosync.job as j where j.name = checked.name and (not j.enabled or j.paused_at is not null)
    ),
    'ref_of_key', (select f.project_ref from autosync.service_key_facts() as f)
) as fact
"""


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    found = answer.values[0]
    if found["url"] is None or (found["needs_key"] and not found["has_key"]):
        if found["is_off"]:
            return []
        name = "project_url" if found["url"] is None else "service_role_key"
        facts = {"reason": "missing", "secret": name}
        return [Row("unknown", f"secret {name}", "is not stored, or this role cannot see it", facts)]
    called, ref_of_key = address.ref_in(found["url"]), found["ref_of_key"]
    if called is None:
        return []
    rows = []
    if ref_of_key and re.fullmatch(r"[a-z]{20}", ref_of_key) and ref_of_key != called:
        detail = f"is a key of the project {ref_of_key}, but project_url names {called}"
        facts = {"secret": "service_role_key", "project": ref_of_key, "called": called}
        rows.append(Row("critical", "secret service_role_key", detail, facts))
    own = binding.ref_of_database(answer.connection) or answer.configuration.target.project_ref
    if own and own != called:
        detail = f"names the project {called}, but this database is that of {own}"
        rows.append(
            Row("critical", "secret project_url", detail, {"secret": "project_url", "project": own, "called": called})
        )
    return rows


CHECK = Check(
    layer="secrets",
    scope="function",
    claim="the key, the URL and this database belong to one project",
    remedy="autosync-db setup --project-url URL --service-role-key-file PATH",
    needs=(
        "head_applied",
        "secrets_present",
        "project_url_valid",
        "secrets_readable_by_job",
    ),
    causes=("database_is_the_bound_one",),
    question=Question(_query, _read),
)
