"""This is the database that was bound to the project whose function it calls."""

from autosync_db.config import Target
from autosync_db.health.model import Answer, Check, Question, Row
from autosync_db.jobs import binding
from autosync_db.jobs.binding import Inherited
from autosync_db.remedies import ByYou
from autosync_db.supabase import address
from autosync_db.supabase.key import redact

_QUERY = """
select jsonb_build_object(
    'findings', (select jsonb_agg(to_jsonb(f) order by f.status, f.object) from autosync.binding_findings() as f),
    'binding', (select s.value from autosync.setting as s where s.name = 'binding'),
    'url', (select min(s.secret) from autosync.stored_secrets() as s where s.name = 'project_url'),
    'database', current_database()
) as fact
"""
_SETUP = "autosync-db setup --rebind --project-ref {ref} --service-role-key-file PATH"


def _query() -> str:
    return _QUERY


def _read(answer: Answer) -> list[Row]:
    found = answer.values[0]
    target = answer.configuration.target
    copy = binding.judge(
        found["binding"],
        address.ref_in(found["url"]),
        binding.ref_of_database(answer.connection),
        binding.own(target),
    )
    # one that was never bound is not known as a copy; service_key_matches_project says what its address contradicts
    if copy and (copy.is_silent or (found["binding"] or {}).get("project_ref")):
        # where the file says by name that a job runs, silence is no choice
        is_wanted = any(job.targets for job in answer.configuration.settings.jobs.values())
        return [_of_copy(copy, found["database"], is_wanted=is_wanted)]
    is_unproven = "proving" in (found["binding"] or {})
    if is_unproven and not found["findings"]:
        # of a copy whose address names no hosted project
        found["findings"] = [
            {"object": f"database {found['database']}", "detail": "has an address that no call has proven"}
        ]
    facts = {"database": found["database"]} | ({"reason": "unproven"} if is_unproven else {})
    rows = [
        Row("critical" if is_unproven else row["status"], row["object"], row["detail"], facts)
        for row in found["findings"] or ()
    ]
    return rows or _of_address(found["url"], target, found["database"])


def _of_address(url: str | None, target: Target, database: str) -> list[Row]:
    """Return a warning where the calls go to another address than that of the target in autosync.toml.

    Of a hosted project none: it may be called by a domain of its own, and two refs are judged as a copy, or as a key of
    another project.
    """
    if not url or target.project_ref or address.ref_in(url) or not binding.is_elsewhere(target, url):
        return []
    detail = f"is {redact(url)}, and autosync.toml has {target.project_url} for the target {target.name}"
    facts = {"reason": "other_address", "secret": "project_url", "database": database}
    return [Row("warning", "secret project_url", detail, facts)]


def _of_copy(copy: Inherited, database: str, *, is_wanted: bool) -> Row:
    if not copy.is_silent:
        status, reason, detail = "critical", "calls_on", f"is {copy.sentence}, the database of {copy.here}"
    elif copy.came_back:
        status, reason, detail = "critical", "came_back", f"is {copy.sentence}"
    else:
        status, reason = "critical" if is_wanted else "warning", "inherited" if copy.ref else "inherited_here"
        detail = f"is {copy.sentence}: it is that of {copy.here} now, and makes no call" + (
            "; by autosync.toml a job runs on this target" if is_wanted else ""
        )
    facts = {"reason": reason, "project": copy.project, "here": copy.here, "ref": copy.ref, "database": database}
    return Row(status, f"database {database}", detail, facts)


CHECK = Check(
    layer="secrets",
    claim="this is the database that was bound to the project whose function it calls",
    remedy=ByYou(
        "a copy stays silent; only if this database belongs to that project now, bind it again",
        then="autosync-db setup --rebind --project-ref REF --service-role-key-file PATH",
    ),
    remedies={
        "inherited": ByYou("nothing, if it should make no calls; to let it make its own", then=_SETUP),
        "inherited_here": ByYou(
            "nothing, if it should make no calls; to let it make its own",
            then="autosync-db setup --rebind --service-role-key-file PATH",
        ),
        "came_back": ByYou("make sure that this is the project's own database", then=_SETUP),
        "calls_on": ByYou("pause its jobs, if it should make no calls; to let it make its own", then=_SETUP),
        "other_address": ByYou(
            "a copy calls its source's functions: pause its jobs, or set it up with --rebind and"
            " --service-role-key-file PATH; if it is not a copy, setup stores the file's address",
            then="autosync-db setup",
        ),
        "unproven": ByYou("the setup of the copy's own project did not finish; repeat it", then="autosync-db setup"),
    },
    needs=("head_applied", "secrets_readable_by_job", "privileges_sufficient"),
    causes=("head_applied",),
    question=Question(_query, _read),
)
