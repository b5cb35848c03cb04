"""What a service key is, judged by its form."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosync_db.errors import SecretError
from autosync_db.secret import Secret
from autosync_db.supabase import key as credential
from autosync_db.supabase.key import KeyKind
from tests.support import keys

OTHER_REF = keys.PROJECT_REF[::-1]


def _jwt(**claims: object) -> Secret:
    return Secret(jwt.encode(dict(claims), "k" * 32, algorithm="HS256"))


def _refusal(key: Secret, project_ref: str | None = None) -> SecretError:
    with pytest.raises(SecretError) as caught:
        credential.inspect(key, project_ref=project_ref)
    assert caught.value.exit_code == 6
    assert caught.value.hint
    return caught.value


def test_a_legacy_key_tells_its_facts() -> None:
    key = keys.legacy(ref=keys.PROJECT_REF)
    found = credential.inspect(key, project_ref=keys.PROJECT_REF)
    assert (found.kind, found.project_ref) == (KeyKind.LEGACY, keys.PROJECT_REF)
    assert found.expires_at is not None
    assert found.expires_at > datetime.now(UTC)
    assert key.reveal() not in repr(found)


def test_a_secret_key_tells_its_kind() -> None:
    found = credential.inspect(keys.secret(), project_ref=keys.PROJECT_REF)
    assert (found.kind, found.project_ref, found.expires_at) == (KeyKind.SECRET, None, None)


def test_a_legacy_key_without_ref_fits_any_project() -> None:
    assert credential.inspect(keys.legacy(), project_ref=keys.PROJECT_REF).project_ref is None


def test_a_legacy_key_without_expiry_never_expires() -> None:
    assert credential.inspect(_jwt(role="service_role")).expires_at is None


def test_expiry_is_judged_to_the_second() -> None:
    now = datetime(2026, 1, 1, tzinfo=UTC)
    key = _jwt(role="service_role", exp=int(now.timestamp()))
    credential.inspect(key, now=now - timedelta(seconds=1))
    with pytest.raises(SecretError, match="expired on 2026-01-01"):
        credential.inspect(key, now=now)


@pytest.mark.parametrize("role", ["anon", "authenticated"])
def test_a_key_of_another_role_is_refused_by_name(role: str) -> None:
    assert role in _refusal(keys.legacy(role)).message


@pytest.mark.parametrize("claims", [{}, {"role": None}, {"role": 5}, {"role": ["service_role"]}, {"sub": "x"}])
def test_a_jwt_without_a_role_is_refused(claims: dict[str, object]) -> None:
    assert "names no role" in _refusal(_jwt(**claims)).message


@pytest.mark.parametrize("expiry", ["tomorrow", 1e30, -1e30, float("inf"), True, [1]])
def test_an_expiry_that_is_no_time_does_not_crash(expiry: object) -> None:
    def part(value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")

    key = Secret(f"{part({'alg': 'HS256'})}.{part({'role': 'service_role', 'exp': expiry})}.{'s' * 43}")
    said = ""
    try:
        credential.inspect(key)
    except SecretError as error:
        said = error.message
    assert key.reveal() not in said


def test_a_key_of_another_project_is_refused_with_both_refs() -> None:
    refusal = _refusal(keys.legacy(ref=OTHER_REF), keys.PROJECT_REF)
    assert OTHER_REF in refusal.message
    assert keys.PROJECT_REF in refusal.message


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "empty"),
        ("  \n", "empty"),
        ("\ufeffsb_secret_" + "a" * 30, "characters"),
        ("sb_secret_aaaa aaaaaaaaaaaaaa", "blanks"),
        ("sb_secret_" + "é" * 20, "characters"),
        ("your-service-role-key", "placeholder"),
        ("<key>", "placeholder"),
        ("xxxxxxxx", "placeholder"),
        ("eyJhbGciOi...", "placeholder"),
        ("changeme", "placeholder"),
        ("sb_publishable_" + "a" * 30, "publishable"),
        ("sb_secret_abc", "too short"),
        ("sb_secret_" + "a" * 8 + "*" * 20, "hidden"),
        ("sbp_" + "0" * 40, "access token"),
        ("password123", "neither"),
        ("a.b.c", "neither"),
        ("Bearer:abc", "neither"),
    ],
)
def test_anything_else_is_refused_by_what_it_is(text: str, named: str) -> None:
    assert named in _refusal(Secret(text)).message


@pytest.mark.parametrize("text", ["'{}'", '"{}"', "SUPABASE_SERVICE_ROLE_KEY={}", "apikey:{}", "{}'", '"{}'])
def test_a_key_with_something_around_it_is_refused(text: str) -> None:
    for key in (keys.legacy(), keys.secret()):
        assert "something around it" in _refusal(Secret(text.format(key.reveal()))).message


@given(st.text(min_size=1))
def test_whatever_is_given_the_answer_is_facts_or_a_refusal_that_does_not_quote_it(text: str) -> None:
    said = ""
    try:
        credential.inspect(Secret(text))
    except SecretError as error:
        said = error.message + error.hint
    if len(text.strip()) > 30:  # shorter texts may be words of the message
        assert text not in said


@given(st.text(alphabet="abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", min_size=22, max_size=60))
def test_a_real_secret_key_is_not_taken_for_a_placeholder(tail: str) -> None:
    assert credential.inspect(Secret("sb_secret_" + tail)).kind is KeyKind.SECRET


def test_a_legacy_key_whose_end_is_missing_is_refused() -> None:
    for missing in (1, 2, 3, 10, 43, 44, 60):
        assert "cut off" in _refusal(Secret(keys.legacy().reveal()[:-missing])).message
    assert "after its signature" in _refusal(Secret(keys.legacy().reveal() + "a")).message


def test_the_key_of_every_local_stack_fits_no_hosted_project() -> None:
    key = _jwt(role="service_role", iss="supabase-demo")
    assert credential.inspect(key).kind is KeyKind.LEGACY
    assert "which everyone knows" in _refusal(key, keys.PROJECT_REF).message


def test_each_kind_travels_on_its_own_header_alone() -> None:
    secret, legacy = keys.secret(), keys.legacy()
    assert credential.headers(secret) == {"apikey": secret.reveal()}
    assert credential.headers(legacy) == {"authorization": f"Bearer {legacy.reveal()}"}


def test_a_short_value_has_a_fingerprint_that_many_others_have_too() -> None:
    assert len(credential.fingerprint(Secret("4711"))) == 4
    assert len(credential.fingerprint(Secret("x" * 20))) == 12


def test_a_fingerprint_tells_keys_apart_and_is_short() -> None:
    key = keys.secret()
    assert credential.fingerprint(key) == hashlib.sha256(key.reveal().encode()).hexdigest()[:12]
    assert credential.fingerprint(key) != credential.fingerprint(keys.secret())


class TestRedact:
    def test_hides_every_part_of_a_key(self) -> None:
        for make in (keys.legacy, keys.secret):
            key = make().reveal()
            for around in ("{}", "'{}'", "a {} b", "key={}, more", "Key (secret)=({}) is bad"):
                assert credential.redact(around.format(key)) == around.format("***")

    @pytest.mark.parametrize("password", ["plain", "with:colon", "with/slash", "p%40q"])
    def test_hides_the_password_of_a_url_and_nothing_else_of_it(self, password: str) -> None:
        shown = credential.redact(f"cannot use postgresql://postgres:{password}@db.example:5432/postgres")
        assert shown == "cannot use postgresql://postgres:***@db.example:5432/postgres"

    def test_leaves_everything_else_alone(self) -> None:
        for text in (
            "plain words",
            "https://host.example:8443/path",
            "postgresql://user@host/db",
            "see https://a.b and mail c@d.e",
            "eyJ alone",
            "sb_secret_ is a kind",
            "it is an sb_secret_ key",
        ):
            assert credential.redact(text) == text
