"""The address of a project."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from autosync_db.errors import UsageError
from autosync_db.supabase import address
from tests.support import keys

HOSTED = f"https://{keys.PROJECT_REF}.supabase.co"


@pytest.mark.parametrize(
    "url",
    [
        HOSTED,
        "https://api.example.org",
        "https://api.example.org:8443",
        "http://localhost:54321",
        "http://127.0.0.1:54321",
        "http://10.0.0.5:8000",
        "http://192.168.1.2",
        "http://kong:8000",
        "http://host.docker.internal:54321",
        "http://[::1]:54321",
        "https://[2001:db8::1]",
    ],
)
def test_an_origin_is_accepted_unchanged(url: str) -> None:
    assert address.check_url(url) == url


@pytest.mark.parametrize(
    ("url", "named", "cure"),
    [
        (f"{HOSTED}/functions/v1", "a path", HOSTED),
        (f"{HOSTED}/", "a trailing slash", HOSTED),
        (f"{HOSTED}#x", "a path", HOSTED),
        (f"{HOSTED}/?", "a trailing slash", HOSTED),
        ("api.example.org", "no scheme", "use https://api.example.org"),
        ("localhost:54321", "no scheme", "use http://localhost:54321"),
        ("//api.example.org", "no scheme", "use https://api.example.org"),
        ("http://api.example.org", "not encrypted", "use https://api.example.org"),
        ("http://8.8.8.8", "not encrypted", "use https://8.8.8.8"),
        ("file:///etc", "does not name a plain host", "https://HOST"),
        ("ftp://api.example.org", "scheme 'ftp'", "use https://api.example.org"),
        ("https://", "does not name a plain host", "https://HOST"),
        ("", "does not name a plain host", "https://HOST"),
        ("https://user@api.example.org", "does not name a plain host", "https://HOST"),
        ("https://api.example.org:99999", "invalid port", "https://HOST"),
        ("https://api.example.org:x", "invalid port", "https://HOST"),
        ("https://[::1", "host", "https://HOST"),
        ("https://a b", "blanks", "one line"),
        ("https://a\tb", "blanks", "one line"),
        ("https://\uff41pi.example.org", "control characters", "one line"),
    ],
)
def test_anything_else_is_refused_with_what_to_use(url: str, named: str, cure: str) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        address.check_url(url)
    assert cure in caught.value.hint


def test_the_address_in_a_hint_is_itself_accepted() -> None:
    for url in (
        f"{HOSTED}/",
        "api.example.org/x",
        "http://api.example.org/x",
        "[::1]:54321",
        "http://[::1]:54321/",
    ):
        with pytest.raises(UsageError) as caught:
            address.check_url(url)
        proposed = caught.value.hint.removeprefix("use ").partition(": ")[0]
        assert address.check_url(proposed) == proposed


@given(st.text())
def test_whatever_is_given_the_answer_is_the_same_text_or_a_usage_error(text: str) -> None:
    with suppress(UsageError):
        assert address.check_url(text) == text


def test_ref_and_address_are_inverse() -> None:
    assert address.url_of(keys.PROJECT_REF) == HOSTED
    assert address.ref_of(HOSTED) == keys.PROJECT_REF


REF = keys.PROJECT_REF
DASHBOARD = f"https://supabase.com/dashboard/project/{REF}"


@pytest.mark.parametrize(
    ("url", "named", "cure"),
    [
        (DASHBOARD, "the dashboard, not of the project's API", HOSTED),
        (f"{DASHBOARD}/settings/api-keys", "the dashboard, not of the project's API", HOSTED),
        ("https://supabase.com/dashboard/org/some", "the dashboard", "https://REF.supabase.co"),
        (f"https://db.{REF}.supabase.co", "the database, not of the API", HOSTED),
        (f"https://{REF}.functions.supabase.co", "the functions alone", HOSTED),
        (f"https://{REF}.storage.supabase.co", "another service", HOSTED),
        (f"https://{REF}.supabase.com", "a service of Supabase itself", HOSTED),
        (f"https://api.supabase.com/v1/projects/{REF}", "a service of Supabase itself", HOSTED),
        (f"https://https://{REF}.supabase.co", "its scheme twice", HOSTED),
        ("https:http://localhost:54321", "its scheme twice", "use http://localhost:54321"),
        ("https://your-project.supabase.co", "holds a placeholder", "https://REF.supabase.co"),
        ("https://YOUR_PROJECT_REF.supabase.co", "holds a placeholder", "https://REF.supabase.co"),
        ("https://REF.supabase.co", "holds a placeholder", "20 letters"),
        ("https://aws-0-eu-central-1.pooler.supabase.com", "the pooler of databases", "https://REF.supabase.co"),
        (f"postgresql://postgres.{REF}:word@aws-0-eu.pooler.supabase.com:5432/postgres", "of a database", HOSTED),
        (f"postgresql://postgres:word@db.{REF}.supabase.co:5432/postgres", "of a database", HOSTED),
        (REF, "a project ref, not a URL", HOSTED),
        ("", "does not name a plain host", "a variable that is not set"),
        ("--no-wait", "does not name a plain host", "a variable that is not set"),
    ],
)
def test_another_address_of_the_project_is_named_with_the_right_one(url: str, named: str, cure: str) -> None:
    with pytest.raises(UsageError, match=named) as caught:
        address.check_url(url)
    assert cure in caught.value.hint
    assert "word" not in caught.value.message + caught.value.hint
    address.check_url(HOSTED)
    for healthy in ("https://supabase.company.example", "https://my-shop.supabase.co", "https://yourcare.supabase.co"):
        address.check_url(healthy)


@pytest.mark.parametrize(
    "text",
    [
        REF, f" {REF} ", REF.upper(), HOSTED, f"{HOSTED}/rest/v1/", DASHBOARD, f"{DASHBOARD}/functions?x=1",
        f"db.{REF}.supabase.co", f"postgresql://postgres.{REF}:word@aws-0-eu.pooler.supabase.com:5432/postgres",
    ],
)  # fmt: skip
def test_the_ref_is_found_in_whatever_of_the_project_is_copied(text: str) -> None:
    assert address.ref_within(text) == REF
    if text != REF:
        with pytest.raises(UsageError) as caught:
            address.url_of(text)
        assert caught.value.hint == f"pass {REF}"
        assert "word" not in caught.value.message


@pytest.mark.parametrize(
    "ref", ["", "short", keys.PROJECT_REF.upper(), keys.PROJECT_REF + "a", keys.PROJECT_REF + "\n", HOSTED]
)
def test_what_is_no_ref_is_refused(ref: str) -> None:
    with pytest.raises(UsageError, match="not a project ref"):
        address.url_of(ref)


@pytest.mark.parametrize(
    "url",
    [
        "https://api.example.org",
        "http://localhost",
        f"https://{keys.PROJECT_REF}.example.org",
        "https://short.supabase.co",
        f"https://{keys.PROJECT_REF}.supabase.co.evil.org",
    ],
)
def test_other_addresses_name_no_ref(url: str) -> None:
    assert address.ref_of(url) is None


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("https://API.example.com:443/functions/v1/a?b=c", "https://api.example.com"),
        (" http://localhost:54321/ ", "http://localhost:54321"),
        (f"https://{keys.PROJECT_REF}.supabase.in", f"https://{keys.PROJECT_REF}.supabase.co"),
        ("http://[::1]:8000/a", "http://[::1]:8000"),
        ("https://me@api.example.com", "https://me@api.example.com"),
        ("https://[::1", "https://[::1"),
    ],
)
def test_an_origin_is_written_in_one_way(url: str, written: str) -> None:
    assert address.origin(url) == written
