"""The client of the Management API against a server on loopback that answers in the published forms."""

import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from autosync_db.errors import ExitCode, UsageError
from autosync_db.secret import Secret
from autosync_db.supabase.management import Management
from autosync_db.supabase.management_request import Access, Kind, ManagementError
from tests.support import keys, management
from tests.support.management import Api, Trouble

pytestmark = pytest.mark.one_version


@pytest.fixture
def api() -> Iterator[Api]:
    with management.serve(keys.access_token().reveal()) as served:
        yield served


class Clock:
    """Passes the pauses between attempts without waiting, and keeps them."""

    def __init__(self) -> None:
        self.pauses: list[float] = []

    def __call__(self, seconds: float) -> None:
        self.pauses.append(seconds)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def client(api: Api, clock: Clock) -> Management:
    return Management(api.ref, Access(Secret(api.token), api.url, 5, clock))


def test_keys_are_listed_made_and_deleted(api: Api, client: Management) -> None:
    legacy, public = keys.legacy(ref=api.ref), keys.secret()
    api.add_key("service_role", legacy.reveal(), "legacy")
    api.add_key("default", public.reveal())

    hidden = client.api_keys()
    assert [(one.name, one.kind, one.is_secret) for one in hidden] == [
        ("service_role", "legacy", False),
        ("default", "secret", True),
    ]
    assert hidden[1].value is None  # a key that is blotted out is not taken for one
    api.troubles = [Trouble(raw=b'[{"name":"default","type":"secret","api_key":"sb_secret_abcde***"}]')]
    assert client.api_keys()[0].value is None
    api.troubles = [Trouble(raw=b'[{"name":"a\\u001b[31m\\nb"}]')]
    assert client.api_keys()[0].name == "a [31m b"  # names are printed
    assert [one.value for one in client.api_keys(reveal=True)] == [legacy, public]

    made = client.create_secret_key("autosync_cron", "made by a test")
    assert made.value is not None
    assert made.value.reveal() == api.keys[-1]["api_key"]
    assert "sb_secret_" not in repr(made)
    assert made.id is not None
    assert client.delete_key(made.id) is True
    assert client.delete_key(made.id) is False
    assert [key["name"] for key in api.keys] == ["service_role", "default"]


def test_functions_secrets_and_the_state_of_legacy_keys(api: Api, client: Management) -> None:
    api.deploy("auto-sync-cron", verify_jwt=True, version=7)
    api.deploy("gone", status="REMOVED")
    found = client.function("auto-sync-cron")
    assert found is not None
    assert (found.version, found.verify_jwt, found.status) == (7, True, "ACTIVE")
    assert client.function("gone") is None
    assert client.function("never-there") is None
    assert [one.slug for one in client.functions()] == ["auto-sync-cron", "gone"]

    client.set_secrets({"CRON_SECRET": Secret("a value"), "OTHER": Secret("b")})
    assert api.secrets == {"CRON_SECRET": "a value", "OTHER": "b"}
    assert [one.name for one in client.secrets()] == ["CRON_SECRET", "OTHER"]

    for state in (True, False, None):  # None: the platform has dropped the endpoint, as its document announces
        api.legacy_enabled = state
        assert client.legacy_keys_enabled() is state


def test_the_log_is_asked_within_a_time(api: Api, client: Management) -> None:
    seen: list[dict[str, str]] = []

    def rows(query: dict[str, str]) -> dict[str, Any]:
        seen.append(query)
        return {"result": [{"event_message": "hello"}]}

    api.log = rows
    since = datetime(2026, 11, 28, 12, tzinfo=UTC)
    assert client.log("select 1", since, since + timedelta(minutes=5)) == [{"event_message": "hello"}]
    assert seen == [
        {
            "sql": "select 1",
            "iso_timestamp_start": "2026-11-28T12:00:00Z",
            "iso_timestamp_end": "2026-11-28T12:05:00Z",
        }
    ]
    api.log = lambda query: {
        "result": [],
        "error": {"code": 400, "message": "Unknown column", "errors": [], "status": ""},
    }
    with pytest.raises(ManagementError, match="Unknown column") as refused:
        client.log("select x", since, since)
    assert refused.value.kind is Kind.REFUSED


def _failure(call: Callable[[], object]) -> ManagementError:
    with pytest.raises(ManagementError) as failed:
        call()
    error = failed.value
    assert error.exit_code is ExitCode.UNREACHABLE
    assert error.message
    assert error.hint
    return error


def test_a_refusal_says_what_is_missing(api: Api, client: Management) -> None:
    unknown = Management(api.ref, Access(keys.access_token(), api.url, 5))
    refused = _failure(unknown.api_keys)
    assert refused.kind is Kind.TOKEN_REFUSED
    assert "SUPABASE_ACCESS_TOKEN" in refused.hint

    # of a scoped token; the platform names the permission or, for an account without the role, none
    api.permissions = {"api_gateway_keys_read"}
    assert client.api_keys() == []
    for api.names_permission in (True, False):
        for call, permission in (
            (lambda: client.api_keys(reveal=True), "api_gateway_keys_secret_read"),
            (lambda: client.create_secret_key("autosync"), "api_gateway_keys_write"),
            (lambda: client.function("f"), "edge_functions_read"),
            (lambda: client.set_secrets({"A": Secret("b")}), "edge_functions_secrets_write"),
            (lambda: client.log("", datetime.now(UTC), datetime.now(UTC)), "analytics_logs_read"),
        ):
            forbidden = _failure(call)
            assert forbidden.kind is Kind.FORBIDDEN
            assert forbidden.permission == permission
            assert permission in forbidden.message
    api.permissions = None
    # what the platform names is rather right than what its document said
    api.troubles = [Trouble(403, {"message": "The token lacks project_admin_read"})]
    assert _failure(client.api_keys).permission == "project_admin_read"

    other = Management("z" * 20, client.access)
    missing = _failure(other.api_keys)
    assert missing.kind is Kind.MISSING
    assert "z" * 20 in missing.message

    api.add_key("taken_name", keys.secret().reveal())
    taken = _failure(lambda: client.create_secret_key("taken_name"))
    assert taken.kind is Kind.REFUSED
    assert "exists already" in taken.message


def test_too_many_requests_wait_as_long_as_the_api_says(api: Api, client: Management, clock: Clock) -> None:
    at = format_datetime(datetime.now(UTC) + timedelta(seconds=3), usegmt=True)
    api.troubles = [Trouble(429, headers={"retry-after": "2"}), Trouble(429, headers={"retry-after": at})]
    assert client.create_secret_key("autosync").name == "autosync"  # what was refused can be sent again
    assert clock.pauses[0] == 2
    assert 0 < clock.pauses[1] <= 3

    # for longer than anybody waits: said at once
    clock.pauses.clear()
    api.troubles = [Trouble(429, headers={"retry-after": "3600"})]
    late = _failure(client.api_keys)
    assert late.kind is Kind.TOO_MANY
    assert "3600 s" in late.hint
    assert clock.pauses == []

    api.trouble = lambda request: Trouble(429)
    assert _failure(client.api_keys).kind is Kind.TOO_MANY
    assert len(clock.pauses) == 3


def test_what_may_pass_is_tried_again_and_only_where_twice_is_as_good_as_once(
    api: Api, client: Management, clock: Clock
) -> None:
    api.troubles = [
        Trouble(503),
        Trouble(502, {"message": "bad"}),
        Trouble(cut=1),
    ]
    assert client.api_keys() == []
    assert len(clock.pauses) == 3

    api.trouble = lambda request: Trouble(500, {"message": f"failed with {keys.secret().reveal()}"})
    failed = _failure(client.api_keys)
    assert failed.kind is Kind.FAILED
    assert "sb_secret_" not in failed.message

    # made, and the answer lost: a second one would be made
    api.requests.clear()
    api.trouble = lambda request: Trouble(500, done=True) if request.method == "POST" else None
    lost = _failure(lambda: client.create_secret_key("autosync"))
    assert lost.is_unclear
    assert api.asked("POST") == ["api-keys"]
    assert [one.name for one in client.api_keys()] == ["autosync"]

    # deleted, and the answer lost: the second attempt finds none, and that is what was wanted
    api.troubles = [Trouble(500, done=True)]
    assert client.delete_key(api.keys[0]["id"]) is False
    assert api.keys == []


@pytest.mark.parametrize(
    ("trouble", "kind"),
    [
        (Trouble(raw=b"<html>maintenance</html>"), Kind.BROKEN),
        (Trouble(raw=b'{"message":"an object in place of a list"}'), Kind.BROKEN),
        (Trouble(raw=b'[{"type":"secret"}]'), Kind.BROKEN),
        (Trouble(raw=b'[{"name":"x"},'), Kind.BROKEN),
        (Trouble(cut=1), Kind.BROKEN),
        (Trouble(302, headers={"location": "/elsewhere"}), Kind.BROKEN),
        # hostile: deeper than a parser goes, and words that would steer a terminal
        (Trouble(raw=b"[" * 200_000), Kind.BROKEN),
        (Trouble(400, {"message": "no\x1b[2J\x9b31m\u202e way"}), Kind.REFUSED),
        (Trouble(400, raw=b'{"message":' + b"[" * 200_000), Kind.REFUSED),
        (Trouble(403, raw=b"a_" * 1_000_000 + b"read"), Kind.FORBIDDEN),
        (Trouble(429, headers={"retry-after": "Thu, 01 Jan 99999999999999999999 00:00:00 GMT"}), Kind.TOO_MANY),
    ],
)
def test_an_answer_that_cannot_be_understood_is_named(
    api: Api, client: Management, trouble: Trouble, kind: Kind
) -> None:
    api.trouble = lambda request: trouble
    failed = _failure(client.api_keys)
    assert failed.kind is kind
    assert (failed.message + failed.hint).isprintable()
    assert len(failed.message + failed.hint) < 1000
    assert "/elsewhere" not in api.asked()


def test_a_slow_answer_ends_at_the_deadline(api: Api) -> None:
    api.trouble = lambda request: Trouble(delay_seconds=30)
    client = Management(api.ref, Access(Secret(api.token), api.url, 0.2))
    slow = _failure(client.api_keys)
    assert slow.kind is Kind.SLOW
    assert slow.is_unclear

    nobody = Management(api.ref, Access(Secret(api.token), "http://127.0.0.1:1", 5, lambda seconds: None))
    assert _failure(nobody.api_keys).kind is Kind.UNREACHABLE


def test_a_proxy_that_cannot_be_used_is_named(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1")
    hosted = Management(api.ref, Access(Secret(api.token), "https://api.example.invalid", 5, lambda seconds: None))
    failed = _failure(hosted.api_keys)
    assert failed.kind is Kind.UNREACHABLE
    assert "ALL_PROXY" in failed.message


def test_the_token_is_shown_nowhere(api: Api, client: Management) -> None:
    assert api.token not in repr(client)
    api.trouble = lambda request: Trouble(500, {"message": f"no such token: {api.token}"})
    with pytest.raises(ManagementError) as caught:
        client.api_keys()
    said = "".join(traceback.format_exception(caught.value)) + caught.value.hint
    assert api.token not in said
    assert all(api.token not in request.path for request in api.requests)
    assert all(api.token not in str(request.query) for request in api.requests)


@pytest.mark.parametrize(
    "url",
    [
        "http://api.example.com",
        "http://10.0.0.1:8000",
        "http://127.0.0.1.example.com",
        "http://localhost@example.com",
        "ftp://127.0.0.1",
        "api.example.com",
        "https://user:word@example.com",
        "https://example.com:port",
        "https://example.com/?a=b",
        "",
    ],
)
def test_the_token_is_sent_to_no_address_that_is_not_safe(url: str) -> None:
    with pytest.raises(UsageError) as refused:
        Access(keys.access_token(), url)
    assert "AUTOSYNC_SUPABASE_API_URL" in refused.value.message


@pytest.mark.parametrize("url", ["https://api.supabase.green", "http://localhost:54321", "http://[::1]:8080/api"])
def test_safe_addresses_are_taken(url: str) -> None:
    assert Access(keys.access_token(), url).url == url


def test_what_can_be_no_token_is_refused_unseen() -> None:
    for wrong in (keys.secret(), keys.legacy(), Secret("sbp_\nx"), Secret("t\u00f6ken")):
        with pytest.raises(UsageError) as refused:
            Access(wrong)
        assert wrong.reveal() not in refused.value.message + refused.value.hint


@pytest.mark.parametrize("name", ["abc", "Upper_case", "9digits", "with-dash", "x" * 65, "../../v1", "new\nline"])
def test_names_that_no_key_can_have_are_refused_before_anything_is_sent(
    api: Api, client: Management, name: str
) -> None:
    with pytest.raises(UsageError):
        client.create_secret_key(name)
    with pytest.raises(UsageError):
        client.set_secrets({"SUPABASE_URL": Secret("x")})
    with pytest.raises(UsageError):
        client.delete_key("../functions")
    with pytest.raises(UsageError):
        Management("../../x", client.access)
    assert api.requests == []
