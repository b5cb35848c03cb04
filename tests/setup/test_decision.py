"""What a set-up is to do, decided without any database: a table of situations, and what holds in all of them."""

import dataclasses
import itertools
from datetime import UTC, datetime
from typing import Any

import pytest

from autosync_db.config import Configuration, Settings, Target
from autosync_db.credentials.cron_secret import Auth
from autosync_db.credentials.store import StoredSecret
from autosync_db.errors import AutosyncError, SecretError, UsageError
from autosync_db.secret import Secret
from autosync_db.setup import decision
from autosync_db.setup.decision import Given, Plan, Switch
from autosync_db.setup.situation import Situation
from autosync_db.supabase import key as service_keys
from tests.support import keys

OTHER_REF = "zyxwvutsrqponmlkjihg"
URL, OTHER_URL = f"https://{keys.PROJECT_REF}.supabase.co", f"https://{OTHER_REF}.supabase.co"
KEY, OWN, NEW = keys.secret(), Secret("o" * 40), Secret("n" * 40)
BY_SECRET: dict[str, Any] = {"function": {"auth": "cron_secret"}}
BY_KEY: dict[str, Any] = {"function": {"auth": "service_key"}}
BLANK = Situation(
    pg_cron_version="1.6",
    auth="service_key",
    store="table",
    stored={},
    needed=frozenset({"project_url", "service_role_key"}),
    needed_by_others=frozenset(),
    binding=None,
    called_ref=None,
    database_ref=None,
)


def _stored(**values: str) -> dict[str, StoredSecret]:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return {
        name: StoredSecret(name, "table", "other", service_keys.fingerprint(Secret(value)), moment, moment)
        for name, value in values.items()
    }


WORKING = dataclasses.replace(BLANK, stored=_stored(project_url=URL, service_role_key="k"), called_ref=keys.PROJECT_REF)
BY_CRON_SECRET = dataclasses.replace(
    WORKING,
    auth="cron_secret",
    stored=_stored(project_url=URL, cron_secret="c" * 40),
    needed=frozenset({"project_url", "cron_secret"}),
)
BOUND = dataclasses.replace(WORKING, binding={"project_ref": keys.PROJECT_REF})


def _configured(**settings: Any) -> Configuration:
    return Configuration(Settings(**settings), Target("default", None, None, None), None)


def _decide(situation: Situation, given: Given, **settings: Any) -> Plan:
    return decision.decide(situation, _configured(**settings), given, NEW)


@pytest.mark.parametrize(
    ("situation", "given", "settings", "expected"),
    [
        pytest.param(
            BLANK,
            Given(URL, KEY),
            {},
            {"auth": "service_key", "secrets": {"project_url", "service_role_key"}, "switch": Switch.NONE,
             "must_be_proven": False, "binds": True, "project_ref": keys.PROJECT_REF},
            id="a new project",
        ),
        pytest.param(
            WORKING,
            Given(),
            {},
            {"secrets": set(), "switch": Switch.NONE, "must_be_proven": True, "binds": False, "move_to": None},
            id="nothing given, everything stored",
        ),
        pytest.param(
            dataclasses.replace(WORKING, database_ref=keys.PROJECT_REF),
            Given(),
            {},
            {"binds": True, "project_ref": keys.PROJECT_REF},
            id="the database's own address confirms the stored one",
        ),
        pytest.param(
            BLANK,
            Given(URL),
            BY_SECRET,
            {"secrets": {"project_url", "cron_secret"}, "switch": Switch.AT_ONCE, "beside": None,
             "is_secret_new": True, "must_be_proven": False},
            id="a new project with a cron secret of our own making",
        ),
        pytest.param(
            BLANK,
            Given(URL, cron_secret=OWN),
            BY_SECRET,
            {"secrets": {"project_url", "cron_secret"}, "is_secret_new": False},
            id="a new project with a cron secret that the function knows",
        ),
        pytest.param(
            WORKING,
            Given(),
            BY_SECRET,
            {"secrets": set(), "switch": Switch.WHEN_ACCEPTED, "beside": NEW, "is_secret_new": True,
             "must_be_proven": True},
            id="from a key that works to a cron secret",
        ),
        pytest.param(
            WORKING,
            Given(OTHER_URL, cron_secret=OWN),
            BY_SECRET,
            {"secrets": {"project_url"}, "switch": Switch.WHEN_ACCEPTED, "beside": OWN, "is_secret_new": False},
            id="from a key that works to a cron secret that is known, elsewhere",
        ),
        pytest.param(
            dataclasses.replace(WORKING, stored={**WORKING.stored, **_stored(cron_secret="c" * 40)}),
            Given(),
            BY_SECRET,
            {"secrets": set(), "switch": Switch.WHEN_ACCEPTED, "beside": None, "is_secret_new": False},
            id="the second run, after the function got the cron secret",
        ),
        pytest.param(
            BY_CRON_SECRET,
            Given(service_key=KEY),
            BY_KEY,
            {"secrets": {"service_role_key"}, "switch": Switch.AT_ONCE, "must_be_proven": True},
            id="back to the service key",
        ),
        pytest.param(
            BY_CRON_SECRET,
            Given(),
            {},
            {"auth": "cron_secret", "secrets": set(), "switch": Switch.NONE},
            id="settings that say nothing keep the credential",
        ),
        pytest.param(
            dataclasses.replace(BY_CRON_SECRET, stored=_stored(project_url=URL)),
            Given(),
            {},
            {"secrets": {"cron_secret"}, "switch": Switch.NONE, "is_secret_new": True, "must_be_proven": False},
            id="a cron secret that was deleted",
        ),
        pytest.param(WORKING, Given(), {"secrets": {"store": "vault"}}, {"move_to": "vault"}, id="to the vault"),
        pytest.param(
            dataclasses.replace(WORKING, store="vault"), Given(), {}, {"move_to": None}, id="the vault stays chosen"
        ),
        pytest.param(
            BOUND,
            Given(OTHER_URL, KEY, rebind=True),
            {},
            {"project_ref": OTHER_REF, "rebinds": True, "binds": False, "must_be_proven": True},
            id="bound to another project on demand",
        ),
        pytest.param(
            dataclasses.replace(BLANK, stored=_stored(project_url=URL), needed_by_others=frozenset({"project_url"})),
            Given(OTHER_URL, KEY),
            {},
            {"must_be_proven": True},
            id="an incomplete job whose address another job calls too",
        ),
    ],
)  # fmt: skip
def test_what_is_to_be_done(
    situation: Situation, given: Given, settings: dict[str, Any], expected: dict[str, object]
) -> None:
    plan = _decide(situation, given, **settings)
    found = {name: getattr(plan, name) for name in expected}
    if "secrets" in found:
        found["secrets"] = set(plan.secrets)
    assert found == expected


@pytest.mark.parametrize(
    ("situation", "given", "settings", "error", "message"),
    [
        (BLANK, Given(service_key=KEY), {}, UsageError, "the project's URL is not known"),
        *(
            (
                dataclasses.replace(BLANK, database_ref=keys.PROJECT_REF),
                Given(url, KEY),
                {},
                UsageError,
                f"the hosted database of {keys.PROJECT_REF} cannot reach {url}",
            )
            for url in ("http://127.0.0.1:54321", "http://localhost:54321", "https://192.168.1.7", "http://kong:8000")
        ),
        (
            dataclasses.replace(BLANK, database_ref=keys.PROJECT_REF),
            Given("https://api.example.org", KEY),
            {},
            None,
            "",
        ),
        (BLANK, Given(URL), {}, SecretError, "no service key was given"),
        (
            dataclasses.replace(BLANK, pg_cron_version="1.4"),
            Given(URL, KEY),
            {"job": {"schedule": "10 seconds"}},
            UsageError,
            "pg_cron 1.5",
        ),
        (BLANK, Given(URL, cron_secret=Secret("short")), BY_SECRET, SecretError, "at least 32"),
        (BOUND, Given(OTHER_URL, KEY), {}, UsageError, f"bound to the project {keys.PROJECT_REF}, not to {OTHER_REF}"),
        (BLANK, Given("http://localhost:1", KEY, rebind=True), {}, None, ""),
        (dataclasses.replace(WORKING, called_ref=None), Given(rebind=True), {}, UsageError, "to bind to is not known"),
        (BOUND, Given(rebind=True), {}, UsageError, "to bind to is not known"),
        (BOUND, Given(OTHER_URL, rebind=True), {}, SecretError, "a copy needs its own key"),
        (
            dataclasses.replace(
                WORKING,
                stored={**WORKING.stored, **_stored(cron_secret="c" * 40)},
                needed_by_others=frozenset({"project_url", "cron_secret"}),
            ),
            Given(cron_secret=OWN),
            BY_SECRET,
            UsageError,
            "another job's calls",
        ),
    ],
)
def test_what_is_refused(
    situation: Situation, given: Given, settings: dict[str, Any], error: type[AutosyncError] | None, message: str
) -> None:
    if error is None:
        _decide(situation, given, **settings)
        return
    with pytest.raises(error, match=message) as caught:
        _decide(situation, given, **settings)
    assert caught.value.hint


NAMES = ("project_url", "service_role_key", "cron_secret")


def test_in_every_situation_the_calls_are_complete_and_keep_what_works() -> None:
    some = [set(names) for size in range(4) for names in itertools.combinations(NAMES, size)]
    auths: list[Auth] = ["service_key", "cron_secret"]
    settings = [_configured(), *(_configured(function={"auth": auth}) for auth in auths)]
    decided = 0
    for stored, others, auth, wanted in itertools.product(some, some, auths, settings):
        for url, service_key, own in itertools.product([None, URL], [None, KEY], [None, OWN]):
            decided += _is_sound(stored, others, auth, wanted, Given(url, service_key, own))
    assert decided > 1000


def _is_sound(stored: set[str], others: set[str], auth: Auth, wanted: Configuration, given: Given) -> bool:
    """Return whether a plan is made; fail unless it is one after which the calls can be made."""
    credential = {"service_key": "service_role_key", "cron_secret": "cron_secret"}
    situation = dataclasses.replace(
        BLANK,
        auth=auth,
        stored=_stored(**dict.fromkeys(sorted(stored), "v")),
        needed=frozenset({"project_url", credential[auth]}),
        needed_by_others=frozenset(others),
    )
    try:
        plan = decision.decide(situation, wanted, given, NEW)
    except (UsageError, SecretError):
        return False
    # whatever the calls are made with afterwards is stored then
    active = auth if plan.switch is Switch.WHEN_ACCEPTED else plan.auth
    afterwards = stored | set(plan.secrets)
    assert {"project_url", credential[active]} <= afterwards
    # what is replaced and may have worked is kept until it is proven
    if stored >= situation.needed or set(plan.secrets) & stored & others:
        assert plan.must_be_proven
    # a secret that the function cannot know is never what calls that work are made with
    if plan.is_secret_new and stored >= situation.needed:
        assert plan.switch is Switch.WHEN_ACCEPTED
        assert plan.beside == NEW
        assert "cron_secret" not in plan.secrets
    return True
