"""autosync.toml and the addresses of databases and projects, as somebody in a hurry writes them."""

import json
import re
from pathlib import Path
from unittest import mock

import psycopg
from hypothesis import example, given
from hypothesis import strategies as st

from autosync_db.config import Configuration, load
from autosync_db.config.target import Flags
from autosync_db.connection import url
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from autosync_db.supabase import address
from tests.fuzz import inputs
from tests.fuzz.inputs import PASSWORD, bearable, examples, hostile, mutated, refused_or
from tests.support import cases, command, keys

ROOT = Path(__file__).parents[2]
_PAGE = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
FILES = (
    _PAGE.partition("```toml\n")[2].partition("```")[0],
    '[job]\nschedule = "* * * * *"\n[function]\nauth = "cron_secret"\n[isolation]\nmode = "custom"\n'
    'integration_table = "public.t"\nowner_column = "user_id"\n[secrets]\nstore = "vault"\n',
    f'[targets.a]\nproject_ref = "{keys.PROJECT_REF}"\ndatabase_url = "postgresql://u@h/d"\n[targets.b]\n'
    'project_url = "http://127.0.0.1:1"\nservice_role_key_file = "k"\n[jobs.a]\nsql = "select 1"\n'
    'schedule = "@daily"\n',
)
WORDS = (
    "schedule = ",
    "[jobs.x]\n",
    "[jobs.x.body]\n",
    "watch = true\n",
    "sql = ",
    "password = ",
    "function",
    "targets",
)

_HOSTS = (
    f"db.{keys.PROJECT_REF}.supabase.co",
    "aws-0-eu-west-1.pooler.supabase.com",
    "127.0.0.1",
    "[::1]",
    "h",
    "",
    "/tmp",
)
URLS = tuple(
    shape.format(password=PASSWORD, host=host)
    for host in _HOSTS
    for shape in (
        "postgresql://postgres:{password}@{host}:5432/postgres",
        f"postgres://postgres.{keys.PROJECT_REF}:{{password}}@{{host}}:6543,5433/postgres?sslmode=require",
        "host={host} user=postgres password={password} dbname=postgres port=5432",
        "postgresql://postgres:[YOUR-PASSWORD]@{host}:5432/postgres",
        "postgresql://{host}/postgres?password={password}&options=-c%20x%3Dy",
    )
)
PLACES = (
    f"https://{keys.PROJECT_REF}.supabase.co",
    "http://127.0.0.1:54321",
    "http://[::1]:1",
    "https://a.example:8443",
    f"https://supabase.com/dashboard/project/{keys.PROJECT_REF}",
    keys.PROJECT_REF,
    f"https://db.{keys.PROJECT_REF}.supabase.co",
    "http://kong:8000",
    *URLS,
)
# of a URL; a planted value alone may stand where a host is shown, so it stands where passwords do
PARTS = (
    PASSWORD,
    "@",
    "@@",
    ":",
    "//",
    "?",
    "&",
    "#",
    "%",
    "%40",
    "%zz",
    "%00",
    "%a5",
    " ",
    "[",
    "]",
    "password=",
    "localhost",
)


def _without_planted(text: str) -> str:
    for value in inputs.PLANTED[1:]:
        text = text.replace(value, "x")
    return text


def _has_password_once(text: str) -> bool:
    """Whether a password was put in where one stands: who gives the user or the host the same value has shown it."""
    return text.count(PASSWORD[-8:]) <= 1 and text.count(PASSWORD[4:12]) <= 1


@examples(25)
@given(mutated(FILES, WORDS))
def test_a_settings_file_is_read_or_refused(text: str) -> None:
    Path("autosync.toml").write_text(text, encoding="utf-8", errors="replace")
    found = refused_or(load, UsageError)
    if isinstance(found, Configuration):
        inputs.no_secret(repr(found).replace(PASSWORD, ""))


@examples(6)
@given(mutated(FILES, WORDS), st.sampled_from(["migrate --check", "plan", "jobs list", "migrate --sql", "cost"]))
def test_a_command_says_what_is_wrong_with_the_file(text: str, line: str) -> None:
    Path("autosync.toml").write_text(text, encoding="utf-8", errors="replace")
    with inputs.within():
        bearable(
            command.run(*line.split(), variables={"AUTOSYNC_DATABASE_URL": "postgresql://u@127.0.0.1:1/d"}), 0, 2, 4
        )


@example(f"host=/tmp user= password={PASSWORD} dbname=postgres port=5432")
@example(f"host=/={PASSWORD} dbname=postgres port=5432")
@examples(50)
@given(mutated(URLS, PARTS).map(_without_planted).filter(_has_password_once).filter(lambda text: "\0" not in text))
def test_an_address_of_a_database_is_understood_or_refused(text: str) -> None:
    found = refused_or(lambda: url.parameters(Secret(text)), UsageError)
    if found is not None:
        inputs.no_secret(url.shown_place(Secret(text)))


def _no_server(**chosen: object) -> None:
    """Fail as libpq does, which names what it was given."""
    raise psycopg.OperationalError(
        f'connection to server at "{chosen.get("host")}", port {chosen.get("port")} failed: FATAL: '
        f'role "{chosen.get("user")}" or database "{chosen.get("dbname")}" does not exist'
    )


@example(f"host=/tmp user= password={PASSWORD} dbname=postgres port=5432")
@examples(5)
@given(
    mutated(URLS, PARTS).map(_without_planted).filter(_has_password_once).filter(lambda text: text and "\0" not in text)
)
def test_a_command_that_does_not_get_there_shows_no_piece_of_a_password(text: str) -> None:
    with (
        mock.patch("psycopg.connect", _no_server),
        mock.patch("socket.getaddrinfo", side_effect=OSError),
        inputs.within(),
    ):
        bearable(command.run("status", variables={"AUTOSYNC_DATABASE_URL": text}), 2, 4)
        bearable(command.run("status", "--database-url", text), 2, 4)


@example(f"postgres:{PASSWORD}[::1]:5432/postgres")
@example(f"'postgresql://password={PASSWORD}&options=x")
@examples(40)
@given(mutated(PLACES, PARTS) | hostile())
def test_an_address_of_a_project_is_taken_as_it_is_or_refused(text: str) -> None:
    found = refused_or(lambda: address.check_url(text), UsageError)
    assert found in (None, text)
    for look in (address.ref_in, address.host_in, address.ref_within):
        refused_or(lambda look=look: look(text), UsageError)  # type: ignore[misc]


@examples(5)
@given(mutated(PLACES, PARTS).filter(lambda text: "\0" not in text))
def test_init_writes_a_file_that_is_read_again(text: str) -> None:
    for flag in ("--project-url", "--project-ref"):
        Path("autosync.toml").unlink(missing_ok=True)
        result = bearable(command.run("init", flag, text), 0, 2)
        assert Path("autosync.toml").exists() == (result.code == 0)
        if result.code == 0:
            load(Flags(database_url=Secret("postgresql://u@h/d")))


ATTACKS = (
    'x"; drop table public.pg_cron_secrets; --',
    "x'; select pg_sleep(9); --",
    "x) or true --",
    "pg_catalog.now()",
    "a.b.c",
    "$$x$$",
    "x\\'",
    'public."x"',
    "naïve",
    "\uff50ublic.x",
    "x\u202ey",
    "a" * 64,
    "é" * 40,
    "x\n",
    " x",
    "",
    "%s",
    "{0}",
    "../x",
)
# where a name of the settings becomes a part of a statement, a header or an address
NAMED = {
    "[isolation]\nmode = 'custom'\n{} = {}\n": (
        "integration_table",
        "integration_id_column",
        "integration_organization_column",
        "owner_column",
        "membership_table",
        "membership_user_column",
        "membership_organization_column",
    ),
    "[job]\n{} = {}\n": ("name", "function", "url", "method", "schedule"),
    "[jobs.a]\nfunction = 'f'\nschedule = '* * * * *'\n[jobs.a.auth]\nsecret = 's'\nheader = 'x-a'\n{} = {}\n": (
        "secret",
        "header",
    ),
}


def test_a_name_that_would_be_more_than_a_name_is_refused() -> None:
    with cases.collected() as case:
        for shape, places in NAMED.items():
            for place in places:
                for attack in ATTACKS:
                    with case((place, attack)):
                        text = shape.format(place, json.dumps(attack))
                        # a key that is given twice is no settings file
                        text = re.sub(rf"^{place} = '.*'\n", "", text, flags=re.MULTILINE)
                        Path("autosync.toml").write_text(text, encoding="utf-8")
                        found = refused_or(load, UsageError)
                        # RFC 9110 lets the name of a header be so; it is data in a row, as its value is
                        assert found is None or (place == "header" and attack in {"a.b.c", "$$x$$", "a" * 64, "%s"})
        for attack in ATTACKS:
            with case(("jobs", attack)):
                table = f"[jobs.{json.dumps(attack)}]\nsql = 'select 1'\nschedule = '* * * * *'\n"
                Path("autosync.toml").write_text(table, encoding="utf-8")
                assert refused_or(load, UsageError) is None
