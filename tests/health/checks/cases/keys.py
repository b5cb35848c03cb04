"""The address and the key: what they must look like."""

import base64
import dataclasses

from autosync_db.secret import Secret
from tests.health.actions import (
    Action,
    answers,
    pause,
    run,
    sql,
    stored,
)
from tests.health.checks.case import Case, failed, fine, unseen, warned
from tests.support import keys
from tests.support.health import Project

REF = keys.PROJECT_REF
OTHER = REF[::-1]
YEARS = 10 * 365 * 86400
_LEGACY = keys.legacy().reveal()
_NO_KEY = "is neither a whole JWT nor an sb_secret_ key"
_ABSENT = sql("delete from public.pg_cron_secrets where name = 'service_role_key'")
_WRONG_URLS = {
    f"{REF}.supabase.co": "has no scheme",
    f"ftp://{REF}.supabase.co": "has the scheme ftp, not https",
    f"postgresql://postgres:pw@db.{REF}.supabase.co:5432/postgres": "has the scheme postgresql, not https",
    f"https://db.{REF}.supabase.co": "is an address of the database",
    f"https://supabase.com/dashboard/project/{REF}": "is an address of the dashboard",
    f"https://{REF}.supabase.co/functions/v1": "ends in the path of the functions",
    f"https://{REF}.supabase.co/functions/v1/auto-sync-cron": "ends in the path of the functions",
    f"https://{REF}.supabase.co?x=1": "has a query or a fragment",
    f"https://{REF}": "is the ref of a project alone",
    f"https://{REF}..supabase.co": "names no host",
    f"https://{REF}.supabase.co:6543": "names the port of the database (6543)",
    "https://api.example.com:99999": "has a port that does not exist",
    "http://[::1]:http": "has a port that does not exist",
    "https://": "names no host",
    "https://<ref>.supabase.co": "names no host",
    f"https://https://{REF}.supabase.co": "has its scheme twice",
    f"https://{REF}.supabase.com": "is an address of another service",
    f"https://api.supabase.com/v1/projects/{REF}": "is an address of another service",
    f"https://{REF}.storage.supabase.co": "is an address of another service",
    f"https://{REF}.functions.supabase.co": "is an address of another service",
    "https://supabase.co": "is an address of another service",
    "https://your-project.supabase.co": "holds a placeholder",
    "https://YOUR_PROJECT_REF.supabase.co": "holds a placeholder",
    "https://REF.supabase.co": "holds a placeholder",
    f"https://{REF}.supabase.co/rest/v1": "ends in a path",
    f"https://{REF}.supabase.co/x": "ends in a path",
    "http://127.0.0.1:54321/auth/v1/": "ends in a path",
}
_DOUBTFUL_URLS = {
    "http://api.example.com": "is not encrypted",
    "http://172.32.0.1": "is not encrypted",
    "https://me:word@api.example.com": "holds a login",
}
_RIGHT_URLS = [
    f"https://{REF}.supabase.co", f"https://{REF}.supabase.co/", "https://api.example.com:8443",
    "https://example.com/gateway", "https://example.com/rest", "https://my-shop.supabase.co",
    "https://yourcare.supabase.co",
    "https://your-project.example.com", "https://supabase.company.example", "http://http:8000",
    "http://127.0.0.1:54321", "http://kong:8000", "http://[::1]:8000", "http://functions:5432",
    "http://host.docker.internal:54321", "http://192.168.1.20", "http://172.16.0.1", "HTTPS://API.Example.com",
]  # fmt: skip


def _url(ref: str) -> str:
    return f"https://{ref}.supabase.co"


def _signed(algorithm: str) -> Secret:
    """Return a JWT by its form that says it is signed so, and whose signature has the length of one."""
    head = base64.urlsafe_b64encode(f'{{"alg": "{algorithm}"}}'.encode()).decode().rstrip("=")
    return Secret(f"{head}.{_LEGACY.split('.')[1]}.{'s' * {'RS256': 342}.get(algorithm, 86)}")


def _bound(**changes: str) -> Action[Project]:
    """Return what binds the database to the project, and then changes what the binding says."""

    def act(project: Project) -> None:
        project.owner.execute("delete from autosync.setting where name = 'binding'")
        project.owner.execute(
            "insert into autosync.setting (name, value)"
            " values ('binding', autosync.server_identity() || jsonb_build_object('project_ref', %s::text))",
            [REF],
        )
        for name, value in changes.items():
            project.owner.execute(
                "update autosync.setting set value = value || jsonb_build_object(%s::text, to_jsonb(%s::text))"
                " where name = 'binding'",
                [name, value],
            )

    return act


def _of_the_project(project: Project) -> None:
    """Say that this database is that of the project."""
    target = dataclasses.replace(project.configuration.target, project_url=_url(REF))
    project.configuration = dataclasses.replace(project.configuration, target=target)


def _of_a_domain(project: Project) -> None:
    target = dataclasses.replace(project.configuration.target, project_url="https://api.example.com")
    project.configuration = dataclasses.replace(project.configuration, target=target)


CASES: dict[str, tuple[Case, ...]] = {
    "database_is_the_bound_one": (
        fine("an address that names no project", _bound()),
        fine("an address that is none", _bound(), stored(project_url="http://[::1")),
        failed(
            "an address of another project",
            _bound(),
            stored(project_url=_url(OTHER)),
            run("failed", "ERROR:  no call is made: secret project_url names the project"),
            says=f"names the project {OTHER}, but this database is bound to {REF}",
            explains=("job_runs_succeed",),
        ),
        warned(
            "another server",
            _bound(system_identifier="1"),
            says=f"is not the one that was bound to {REF}",
        ),
        warned("it was restored or copied", _bound(system_identifier="1"), says="this database was restored or copied"),
        warned(
            "another database of the server", _bound(database="elsewhere"), says="which was elsewhere on this server"
        ),
        fine("it was never bound", stored(project_url=_url(OTHER), service_role_key=keys.legacy(ref=OTHER))),
        fine("it is that of its project", _bound(), stored(project_url=_url(REF)), _of_the_project),
        fine("its project has a domain of its own now", _bound(), stored(project_url=_url(REF)), _of_a_domain),
        failed(
            "a copy that calls its source",
            _bound(project_ref=OTHER),
            stored(project_url=_url(OTHER)),
            _of_the_project,
            says=f"is inherited from {OTHER}, and calls it from here, the database of {REF}",
        ),
        warned(
            "a copy that was silenced",
            _bound(project_ref=OTHER, inherited_by=REF),
            _of_the_project,
            says=f"is inherited from {OTHER}, off on purpose: it is that of {REF} now, and makes no call",
        ),
        warned(
            "a copy of a copy",
            _bound(project_ref=OTHER, inherited_by=OTHER[::-1]),
            _of_the_project,
            says=f"is inherited from {OTHER}, off on purpose: it is that of {REF} now",
        ),
        warned(
            "a copy that was silenced, by who knows no target",
            _bound(project_ref=OTHER, inherited_by=REF),
            says=f"is inherited from {OTHER}, off on purpose",
        ),
        failed(
            "a copy that came back",
            _bound(inherited_by=OTHER),
            _of_the_project,
            says=f"is inherited from {OTHER}, off on purpose: a copy that came back to {REF}",
        ),
        failed("a copy whose own project is not proven", _bound(proving="yes"), says="which no call has proven"),
    ),
    "project_url_valid": (
        failed(
            "it explains failed runs, and is not shown",
            stored(project_url="db.internal"),
            run("failed", 'ERROR:  invalid URL "db.internal": Bad scheme'),
            says="secret project_url: has no scheme",
            hides="db.internal",
            explains=("job_runs_succeed",),
        ),
        *(failed(url, stored(project_url=url), says=says) for url, says in _WRONG_URLS.items()),
        *(warned(url, stored(project_url=url), says=says, hides="word") for url, says in _DOUBTFUL_URLS.items()),
        *(fine(url, stored(project_url=url)) for url in _RIGHT_URLS),
        fine(
            "a name like a placeholder that a call has proven",
            stored(project_url="https://project.supabase.co/"),
            sql("insert into autosync.setting values ('proven_address', '\"https://project.supabase.co\"')"),
        ),
        fine(
            "it is missing, and the job is paused",
            sql("delete from public.pg_cron_secrets where name = 'project_url'"),
            pause,
        ),
        unseen(
            "it is missing",
            sql("delete from public.pg_cron_secrets where name = 'project_url'"),
            blocked_by=("secrets_present",),
        ),
    ),
    "service_key_fresh": (
        warned(
            "a legacy key, by the project that it names",
            stored(service_role_key=keys.legacy(ref=REF, expires_in=YEARS)),
            says="secret service_role_key: is a legacy JWT key",
        ),
        warned(
            "a legacy key, by the address",
            stored(project_url=_url(REF), service_role_key=keys.legacy(expires_in=YEARS)),
            says="is a legacy JWT key",
        ),
        fine("a secret key", stored(project_url=_url(REF), service_role_key=keys.secret())),
        warned(
            "an old key",
            stored(project_url=_url(REF), service_role_key=keys.secret()),
            sql("update public.pg_cron_secrets set updated_at = now() - interval '366 days'"),
            says="for more than a year",
        ),
        warned(
            "a key that ends soon",
            stored(project_url=_url(REF), service_role_key=keys.legacy(ref=REF, expires_in=86400)),
            says="expires on 20",
        ),
        fine(
            "an old key of a local stack",
            sql("update public.pg_cron_secrets set updated_at = now() - interval '9 years'"),
        ),
        unseen("it is missing", _ABSENT, blocked_by=("secrets_present",)),
        fine("it is missing, and the job is paused", _ABSENT, pause),
    ),
    "service_key_matches_project": (
        failed(
            "a key of another project, which is not shown",
            stored(project_url=_url(REF), service_role_key=(_foreign := keys.legacy(ref=OTHER))),
            says=f"is a key of the project {OTHER}, but project_url names {REF}",
            hides=_foreign.reveal(),
        ),
        fine("a key of this project", stored(project_url=_url(REF), service_role_key=keys.legacy(ref=REF))),
        failed(
            "it explains its refusal",
            answers(401),
            stored(project_url=_url(REF), service_role_key=keys.legacy(ref=OTHER)),
            sql("update public.pg_cron_secrets set updated_at = now() - interval '1 day'"),
            says="is a key of the project",
            explains=("function_accepts_key",),
        ),
        failed(
            "a copy of another project's database",
            stored(project_url=_url(OTHER), service_role_key=keys.legacy(ref=OTHER)),
            _of_the_project,
            says=f"names the project {OTHER}, but this database is that of {REF}",
        ),
        fine(
            "a secret key names no project",
            stored(project_url=_url(REF), service_role_key=keys.secret()),
            _of_the_project,
        ),
        *(
            fine(f"the address {url} names no project", stored(project_url=url, service_role_key=keys.legacy(ref=REF)))
            for url in ("https://api.example.com", "http://127.0.0.1:54321", "https://[oops")
        ),
        unseen("it is missing", _ABSENT, blocked_by=("secrets_present",)),
        fine("it is missing, and the job is paused", _ABSENT, pause),
    ),
    "service_key_valid": (
        *(
            failed(
                f"a key that {says}, which is not shown",
                stored(service_role_key=key),
                says=f"secret service_role_key: {says}",
                hides=key.reveal(),
            )
            for key, says in (
                (keys.legacy("anon"), "is a JWT of the role anon"),
                (keys.legacy(expires_in=-86400), "expired on 20"),
                (Secret("sb_" + "publishable_abcdefgh"), "is a publishable key"),
                (Secret("hello"), _NO_KEY),
                (Secret("a.b.c"), _NO_KEY),
                (Secret(f'"{_LEGACY}"'), _NO_KEY),
                (Secret(f"SUPABASE_SERVICE_ROLE_KEY={_LEGACY}"), _NO_KEY),
                (Secret(_LEGACY[:-1]), _NO_KEY),
                (Secret(f"{_LEGACY}A"), _NO_KEY),
                (Secret(f"{_LEGACY.partition('.')[0][:-3]}.{_LEGACY.partition('.')[2]}"), _NO_KEY),
                (Secret(f"{keys.secret().reveal()}'"), _NO_KEY),
                (Secret("sb_secret_" + "abcde"), _NO_KEY),
                (Secret("sb_secret_" + "YOUR_KEY_HERE_12345"), _NO_KEY),
            )
        ),
        failed(
            "the address is missing, too, which explains nothing",
            sql("delete from public.pg_cron_secrets where name = 'project_url'"),
            stored(service_role_key=keys.legacy("anon")),
            says="is a JWT of the role anon",
        ),
        *(
            fine(f"a {kind} key", stored(service_role_key=key))
            for kind, key in (
                ("legacy", keys.legacy()),
                ("secret", keys.secret()),
                *((f"legacy {name}", _signed(name)) for name in ("HS512", "ES256", "RS256", "none yet known")),
            )
        ),
        unseen("it is missing", _ABSENT, blocked_by=("secrets_present",)),
        fine("it is missing, and the job is paused", _ABSENT, pause),
    ),
}
