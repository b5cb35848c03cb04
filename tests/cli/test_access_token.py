"""Commands where SUPABASE_ACCESS_TOKEN is set, with the API on loopback: it is read, never needed, and never shown."""

from collections.abc import Iterator

import pytest

from autosync_db.secret import Secret
from tests.cli.conftest import Project
from tests.support import clusters, command, keys, management
from tests.support.command import Result
from tests.support.management import Api, Trouble

REF = keys.PROJECT_REF


@pytest.fixture
def api() -> Iterator[Api]:
    with management.serve(keys.access_token().reveal()) as served:
        yield served


@pytest.fixture
def hosted(project: Project, api: Api) -> Project:
    """A project whose commands have the token and the address of the API."""
    project.variables |= {"SUPABASE_ACCESS_TOKEN": api.token, "AUTOSYNC_SUPABASE_API_URL": api.url}
    return project


def _setup(project: Project, *arguments: str, ref: str = REF, **variables: str) -> Result:
    """Run a set-up of a hosted project, which makes no call: its address is nobody's."""
    return project.run("setup", "--project-ref", ref, "--no-wait", *arguments, variables=variables)


def _stored(project: Project) -> str | None:
    with clusters.connect(project.cluster) as connection:
        found = connection.execute("select secret from public.pg_cron_secrets where name = 'service_role_key'")
        row = found.fetchone()
        return row[0] if row else None


def _shows_none(result: Result, *secrets: str) -> None:
    assert not [secret for secret in secrets if secret in result.out + result.err]


def test_setup_reads_the_key_that_nobody_gave_and_says_which(hosted: Project, api: Api) -> None:
    wanted, other, legacy = (keys.secret().reveal() for _ in range(3))
    api.add_key("service_role", keys.legacy(ref=REF).reveal(), "legacy")
    api.add_key("web", other)
    api.add_key("autosync_cron", wanted)
    api.deploy("auto-sync-cron", version=7)

    first = command.succeeds(_setup(hosted, "--format", "json"))
    assert _stored(hosted) == wanted
    steps = {step["name"]: step["result"] for step in first.json()["steps"]}
    assert "the secret key autosync_cron of" in steps["key"]
    assert steps["function"] == "auto-sync-cron is deployed: version 7, verify_jwt off"
    _shows_none(first, wanted, other, api.token)

    # what is stored stays, and what is given is never replaced by what the API has
    api.requests.clear()
    second = command.succeeds(_setup(hosted))
    assert "* " not in second.err
    given = keys.secret().reveal()
    command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=given))
    assert _stored(hosted) == given
    assert set(api.asked()) == {"functions"}
    assert legacy not in (wanted, given)


def test_setup_names_what_keeps_a_call_from_the_function(hosted: Project, api: Api) -> None:
    api.add_key("default", keys.secret().reveal())
    said = command.succeeds(_setup(hosted)).err
    assert "auto-sync-cron is not deployed: supabase functions deploy auto-sync-cron" in said
    assert said.index("is not deployed") < said.index("migrate"), "before anything is called"

    api.deploy("auto-sync-cron", status="REMOVED")
    assert "is not deployed" in command.succeeds(_setup(hosted)).err
    api.deploy("auto-sync-cron", verify_jwt=True)
    said = command.succeeds(_setup(hosted)).err
    assert "has verify_jwt on" in said
    assert "an sb_secret_ key" in said
    assert "--no-verify-jwt" in said
    # a JWT passes that check
    said = command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=keys.legacy(ref=REF).reveal())).err
    assert "--no-verify-jwt" not in said
    assert "verify_jwt on" in said


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (Trouble(403, {"message": "no privileges"}), "lacks the permission api_gateway_keys_secret_read"),
        (Trouble(429, headers={"retry-after": "600"}), "too many requests"),
    ],
)
def test_setup_goes_on_without_an_api_that_cannot_be_asked(
    hosted: Project, api: Api, trouble: Trouble, says: str
) -> None:
    api.trouble = lambda request: trouble
    given = command.succeeds(_setup(hosted, SUPABASE_SERVICE_ROLE_KEY=hosted.key.reveal()))
    lines = [line for line in given.err.splitlines() if "not asked further" in line]
    assert len(lines) == 1
    with clusters.connect(hosted.cluster, "supabase_admin") as connection:
        connection.execute("delete from public.pg_cron_secrets where name = 'service_role_key'")
    lacking = _setup(hosted)
    assert lacking.code == 6
    assert says in lacking.err
    assert "no service key was given" in lacking.err


def test_without_a_token_or_for_another_address_nothing_is_asked(hosted: Project, api: Api) -> None:
    command.succeeds(hosted.setup("--no-wait"))
    command.succeeds(hosted.setup("--no-wait", key=Secret(hosted.key.reveal())))
    assert api.requests == []
    refused = _setup(hosted, AUTOSYNC_SUPABASE_API_URL="http://api.example.com")
    assert refused.code == 2
    assert "not encrypted" in refused.err
    _shows_none(refused, api.token)
    del hosted.variables["SUPABASE_ACCESS_TOKEN"]
    _setup(hosted)
    assert api.requests == []
