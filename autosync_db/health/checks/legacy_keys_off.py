"""The project's legacy keys are off once no call needs one."""

from autosync_db import config
from autosync_db.config import Configuration
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.remedies import ByYou
from autosync_db.supabase.management_request import TOKEN_VARIABLE, ManagementError

# one request, and not for long: verify holds its transaction open meanwhile
_PATIENCE_SECONDS = 5
_NOTHING = "select null::jsonb as fact where false"
# which project the calls go to, and which stored secrets are keys of the legacy kind
_QUERY = r"""
select jsonb_build_object(
    'project', coalesce(
        (
            select substring(btrim(s.secret, E' \t\r\n') from '^https://([a-z]{20})\.supabase\.(?:co|in)/?$')
            from autosync.stored_secrets() as s
            where s.name = 'project_url'
        ),
        (select s.value ->> 'project_ref' from autosync.setting as s where s.name = 'binding')
    ),
    'names', (select jsonb_agg(f.name order by f.name) from autosync.secret_facts() as f where f.kind = 'legacy'),
    'hidden', autosync.secrets_hidden()
) as fact
"""


def _query() -> str:
    return _QUERY


def _query_of(configuration: Configuration) -> str:
    """Return the query, or one that reads nothing where nobody could be asked anyway."""
    return _QUERY if config.has_access_token() else _NOTHING


def _read(answer: Answer) -> list[Row]:
    if not answer.values:
        return [Row("ok", "legacy keys", f"not looked at: {TOKEN_VARIABLE} is not set", {"reason": "no_token"})]
    [fact] = answer.values
    project = fact["project"]
    if fact["hidden"]:
        return [Row("unknown", "secret service_role_key", fact["hidden"], {"reason": "hidden"})]
    if project is None:
        return [Row("ok", "legacy keys", "not looked at: the calls go to no hosted project", {"reason": "not_hosted"})]
    object, facts = f"project {project}", {"project": project}
    if fact["names"]:
        detail = f"its legacy keys are needed: {', '.join(fact['names'])} is one"
        return [Row("ok", object, detail, {**facts, "reason": "needed", "names": fact["names"]})]
    management = config.management_of(project, _PATIENCE_SECONDS)
    assert management is not None  # the token is set
    try:
        enabled = management.legacy_keys_enabled()
    except ManagementError as error:
        return [Row("unknown", object, f"{error.message}; {error.hint}", {**facts, "reason": "not_asked"})]
    if enabled is None:
        return [Row("ok", object, "the platform has no switch for legacy keys any more", {**facts, "reason": "gone"})]
    if not enabled:
        return [Row("ok", object, "its legacy keys are off", {**facts, "reason": "off"})]
    detail = "its legacy keys (anon, service_role) are on, and no call needs them: an old copy of one still opens it"
    return [Row("warning", object, detail, {**facts, "reason": "on"})]


CHECK = Check(
    layer="secrets",
    claim="the project's legacy keys are off once no call needs one",
    remedy=ByYou(
        "find the apps and jobs that still send one, give them the new keys, then disable the legacy keys",
        where="Settings > API Keys > Legacy API keys",
        then="autosync-db verify --only legacy_keys_off",
    ),
    optional=True,
    needs=("head_applied", "secrets_present", "secrets_readable_by_job", "privileges_sufficient"),
    question=Question(_query, _read, _query_of),
)
