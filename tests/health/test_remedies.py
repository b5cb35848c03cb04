"""The remedy fits what was found."""

import dataclasses
import inspect
import sys
from pathlib import Path

import pytest

from autosync_db.health import catalogue
from tests.health.actions import Action, answers, run, sql, steps, stored, unanswered
from tests.support import health, keys
from tests.support.health import Project
from tests.support.trial import Trial

_CRON_SECRET = sql(
    "insert into autosync.setting (name, value) values"
    """ ('function_auth', '{"auto-sync-cron-job": "cron_secret"}')"""
    " on conflict (name) do update set value = excluded.value",
    "insert into public.pg_cron_secrets (name, secret) values ('cron_secret', md5(random()::text))",
)


def _redirected(location: str) -> Action[Project]:
    """Return what lets the newest call be redirected."""

    def act(project: Project) -> None:
        project.stub.answer()
        project.stub.headers = {"location": location}
        project.tick()

    return act


REMEDIES: dict[str, tuple[str, Action[Project], str]] = {
    "legacy keys are off": (
        "function_accepts_key", answers(401, {"message": "Legacy API keys are disabled"}), "autosync-db rotate",
    ),
    "the gateway wants a key beside the cron secret": (
        "function_accepts_key",
        steps(answers(401, {"msg": "Missing authorization header"}, "UNAUTHORIZED_NO_AUTH_HEADER"), _CRON_SECRET),
        "autosync-db secrets set gateway_key",
    ),
    "the function does not know the cron secret": (
        "function_accepts_key",
        answers(401, {"error": "wrong x-autosync-cron-secret"}),
        "# by you: give the function its secret: autosync-db secrets env PATH",
    ),
    "only the default key": (
        "function_accepts_key",
        answers(401, {"error": "the key must be the one named default"}),
        "autosync-db rotate --from-file PATH  # the secret key named default",
    ),
    "a gateway that refuses what it was sent beside the cron secret": (
        "function_accepts_key",
        steps(_CRON_SECRET, answers(401, {"msg": "Invalid JWT"}, "UNAUTHORIZED_LEGACY_JWT")),
        "autosync-db secrets set gateway_key",
    ),
    "a function that refuses under the cron secret": (
        "function_accepts_key",
        steps(_CRON_SECRET, answers(401, {"error": "the cron secret is another"})),
        "# by you: give the function its secret: autosync-db secrets env PATH",
    ),
    "the key was put back": (
        "function_accepts_key",
        steps(answers(401), stored(service_role_key=keys.secret())),
        "autosync-db jobs trigger auto-sync-cron-job",
    ),
    "nobody listens on this machine": (
        "project_url_reachable",
        steps(stored(project_url="http://127.0.0.1:9"), unanswered("Couldn't connect to server")),
        "# by you: start the service for functions at that address",
    ),
    "nobody listens elsewhere": (
        "project_url_reachable",
        steps(stored(project_url="https://api.example.com"), unanswered("Couldn't connect to server")),
        "autosync-db setup --project-url URL",
    ),
    "another fault on this machine": (
        "project_url_reachable",
        steps(stored(project_url="http://127.0.0.1:9"), unanswered("SSL connect error")),
        "autosync-db setup --project-url URL",
    ),
    "any other refusal": ("function_accepts_key", answers(401), "autosync-db setup --service-role-key-file PATH"),
    "a web page": ("function_reached", answers(200, "<!doctype html>"), "autosync-db setup --project-url URL"),
    "no route": (
        "function_reached",
        answers(404, {"message": "no Route matched with those values"}),
        "autosync-db setup --project-url URL",
    ),
    "a redirect": (
        "project_url_reachable",
        _redirected("/elsewhere"),
        "autosync-db setup --project-url URL  # the address that it leads",
    ),
    "a redirect that takes the key along": (
        "project_url_reachable",
        steps(stored(service_role_key=keys.secret()), _redirected("https://elsewhere.example/x")),
        "autosync-db setup --project-url URL  # the address that it should go to; then replace the key",
    ),
    "a firewall": ("function_reached", answers(403, "error code: 1020"), "# by you, in the settings of the content"),
    "a paused project": ("function_reached", answers(540), "# by you, in the dashboard: restore"),
    "no upstream": ("function_reached", answers(503, "no healthy upstream"), "# by you: start the service"),
    "PostgREST's cache": ("function_succeeds", answers(500, {"code": "PGRST202"}), "notify pgrst, 'reload schema'"),
    "too many jobs at once": (
        "job_runs_succeed", run("failed", "job startup timeout"), "# by you: let fewer jobs begin",
    ),
    "no connection": ("job_runs_succeed", run("failed", "connection failed"), "# by you: find what refused it"),
}  # fmt: skip


@pytest.mark.parametrize("what", REMEDIES)
def test_the_remedy_is_that_of_the_finding(what: str, project: Trial) -> None:
    id, inject, remedy = REMEDIES[what]
    inject(project)
    result = health.result_of(project.report([id]), id)
    assert (result.remedy or "").startswith(remedy), (result.verdict, result.remedy)


def test_every_reason_that_has_a_remedy_is_one_that_the_check_gives() -> None:
    for id, check in catalogue.all_checks().items():
        for reason in check.remedies:
            given = check.question is not None and reason in inspect.getsource(
                sys.modules[check.question.read.__module__]
            )
            assert check.tell or given or f"'{reason}'" in catalogue.query(id), (id, reason)


def test_a_stopped_local_stack_is_started_and_a_bound_target_knows_its_address(project: Trial) -> None:
    Path(".autosync").mkdir()
    Path(".autosync/target.json").write_text('{"project_url": "http://127.0.0.1:9"}')
    steps(stored(project_url="http://127.0.0.1:9"), unanswered("Couldn't connect to server"))(project)
    assert _remedy(project, "project_url_reachable") == "autosync-db local up"

    target = dataclasses.replace(project.configuration.target, project_url=f"https://{keys.PROJECT_REF}.supabase.co")
    project.configuration = dataclasses.replace(project.configuration, target=target)
    steps(stored(project_url="https://api.example.com"), unanswered("Couldn't resolve host name"))(project)
    assert _remedy(project, "project_url_resolves") == "autosync-db setup"


def test_a_function_that_is_served_on_this_machine_is_not_deployed_anywhere(project: Trial) -> None:
    Path(".autosync").mkdir()
    Path(".autosync/target.json").write_text('{"project_url": "http://127.0.0.1:9"}')
    steps(stored(project_url="http://127.0.0.1:9"), answers(404, {"code": "NOT_FOUND"}, "NOT_FOUND"))(project)
    assert "the local stack" in (_remedy(project, "function_deployed") or "")
    stored(project_url="http://localhost:10")(project)
    assert "supabase/functions" in (_remedy(project, "function_deployed") or "")
    stored(project_url="https://api.example.com")(project)
    assert "supabase functions deploy" in (_remedy(project, "function_deployed") or "")


def _remedy(project: Trial, id: str) -> str | None:
    return health.result_of(project.report([id]), id).remedy
