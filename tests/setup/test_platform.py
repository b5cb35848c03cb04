"""Which of a project's keys a set-up takes where nobody gave one."""

import pytest

from autosync_db.config import JobSettings
from autosync_db.setup.platform import choose, slug_of
from autosync_db.supabase.management import ApiKey
from tests.support import keys

pytestmark = pytest.mark.one_version


def _keys(*names: str) -> list[ApiKey]:
    """Return keys by their names: the kind is a word before a colon, a secret key without one."""
    found = []
    for at, text in enumerate(names):
        kind, _, name = text.rpartition(":")
        found.append(ApiKey(str(at), name, kind or "secret", keys.secret()))
    return found


@pytest.mark.parametrize(
    ("names", "chosen"),
    [
        (["default", "autosync"], "autosync"),
        (["default", "my_cron_jobs"], "my_cron_jobs"),
        (["cron", "for_autosync_db"], "for_autosync_db"),
        (["web", "default", "mobile"], "default"),
        (["backend"], "backend"),
        (["legacy:anon", "legacy:service_role", "default"], "default"),
        (["legacy:anon", "publishable:default", "legacy:service_role"], "service_role"),
        (["web", "mobile"], None),  # nobody says which
        (["legacy:anon", "publishable:autosync", "publishable:default"], None),
        ([], None),
    ],
)
def test_the_key_for_the_calls_is_a_secret_one_and_chosen_by_its_name(names: list[str], chosen: str | None) -> None:
    found = choose(_keys(*names))
    assert (found.name if found else None) == chosen


def test_a_key_that_the_api_does_not_reveal_is_not_chosen() -> None:
    assert choose([ApiKey("1", "autosync", "secret"), *_keys("default")]) is not None
    assert choose([ApiKey("1", "autosync", "secret")]) is None


@pytest.mark.parametrize(
    ("function", "slug"), [("sync", "sync"), ("sync/stats?mode=daily", "sync"), ("sync?a=b/c", "sync")]
)
def test_a_path_and_a_query_are_no_part_of_a_functions_name(function: str, slug: str) -> None:
    assert slug_of(JobSettings(function=function, schedule="* * * * *")) == slug
