"""legacy_keys_off: the platform is asked with a token alone, and only where no call needs a legacy key."""

from collections.abc import Iterator

import pytest

from autosync_db.health.model import CheckResult, Status
from autosync_db.secret import Secret
from tests.health.actions import stored
from tests.support import health, keys, management
from tests.support.management import Api, Trouble
from tests.support.trial import Trial

ID = "legacy_keys_off"
URL = f"https://{keys.PROJECT_REF}.supabase.co"


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    with management.serve(keys.access_token().reveal()) as served:
        monkeypatch.setenv("SUPABASE_ACCESS_TOKEN", served.token)
        monkeypatch.setenv("AUTOSYNC_SUPABASE_API_URL", served.url)
        served.legacy_enabled = True
        yield served


def _looked(project: Trial, *, url: str = URL, key: Secret | None = None, **more: Secret) -> CheckResult:
    with project.undone():
        stored(project_url=url, service_role_key=key or keys.secret(), **more)(project)
        return health.result_of(project.report([ID]), ID)


def test_legacy_keys_that_are_on_and_not_needed_are_a_warning(project: Trial, api: Api) -> None:
    found = _looked(project)
    assert found.verdict.status is Status.WARNING
    [evidence] = found.verdict.evidence
    assert evidence.facts == {"project": keys.PROJECT_REF, "reason": "on"}
    assert "no call needs them" in evidence.detail
    assert api.token not in str(found)
    assert api.asked() == ["api-keys/legacy"]

    for enabled, reason in ((False, "off"), (None, "gone")):
        api.legacy_enabled = enabled
        found = _looked(project)
        assert (found.verdict.status, found.verdict.evidence[0].facts["reason"]) == (Status.OK, reason)


def test_the_platform_is_not_asked_where_its_answer_would_say_nothing(
    project: Trial, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    legacy = keys.legacy(ref=keys.PROJECT_REF)
    for found, reason in (
        (_looked(project, key=legacy), "needed"),
        (_looked(project, gateway_key=keys.legacy("anon")), "needed"),
        (_looked(project, url="https://functions.example.com"), "not_hosted"),
    ):
        assert (found.verdict.status, found.verdict.evidence[0].facts["reason"]) == (Status.OK, reason)
    monkeypatch.delenv("SUPABASE_ACCESS_TOKEN")
    found = _looked(project)
    assert (found.verdict.status, found.verdict.evidence[0].facts["reason"]) == (Status.OK, "no_token")
    assert not found.check.notable, "a healthy project is not bothered with it"
    assert api.requests == []


@pytest.mark.parametrize(
    ("trouble", "says"),
    [
        (Trouble(401), "refuses the access token"),
        (Trouble(403, {"message": "Missing permission: api_gateway_keys_read"}), "permission api_gateway_keys_read"),
        (Trouble(404), "there is no project"),
        (Trouble(429, headers={"retry-after": "60"}), "too many requests"),
        (Trouble(raw=b'{"enabled":"yes"}'), "unknown form"),
    ],
)
def test_a_platform_that_cannot_be_asked_is_unknown(project: Trial, api: Api, trouble: Trouble, says: str) -> None:
    api.trouble = lambda request: trouble
    found = _looked(project)
    assert found.verdict.status is Status.UNKNOWN
    assert says in found.verdict.summary
    assert found.verdict.evidence[0].facts["reason"] == "not_asked"


def test_what_can_be_no_token_is_unknown_and_not_shown(
    project: Trial, api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = keys.secret().reveal()
    monkeypatch.setenv("SUPABASE_ACCESS_TOKEN", wrong)
    found = _looked(project)
    assert found.verdict.status is Status.UNKNOWN
    assert "a key of a project, not an access token" in found.verdict.summary
    assert wrong not in str(found)
