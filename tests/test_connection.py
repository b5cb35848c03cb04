"""Connection parameters; the connections themselves are tested against real servers."""

import pytest

from autosync_db import connection
from autosync_db.errors import UsageError
from autosync_db.secret import Secret
from tests.support import keys


def _of(url: str) -> dict[str, object]:
    return connection.parameters(Secret(url))


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u@db.example.org/postgres",
        "postgres://u@db.example.org:6543/postgres",
        "host=db.example.org user=u",
        "postgresql://u@10.0.0.5/postgres",
        "hostaddr=203.0.113.7 user=u",
        "postgresql://u@[2001:db8::1]/postgres",
        "postgresql://u@localhost.example.org/postgres",
    ],
)
def test_a_connection_that_leaves_the_machine_is_encrypted(url: str) -> None:
    assert _of(url)["sslmode"] == "require"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///postgres",
        "postgresql://localhost/postgres",
        "postgresql://127.0.0.1:5433/postgres",
        "host=/run/postgresql",
        "postgresql://[::1]/postgres",
        "hostaddr=127.0.0.1",
        "postgresql://%2Frun%2Fpostgresql/postgres",
    ],
)
def test_a_connection_on_the_machine_need_not_be(url: str) -> None:
    assert "sslmode" not in _of(url)


def test_one_remote_host_of_several_is_enough_to_encrypt() -> None:
    assert _of("host=localhost,db.example.org")["sslmode"] == "require"
    assert _of("host=localhost hostaddr=203.0.113.7")["sslmode"] == "require"


@pytest.mark.parametrize("mode", ["disable", "verify-full", "prefer"])
def test_the_users_choice_is_kept(mode: str) -> None:
    chosen = _of(f"postgresql://u@db.example.org/postgres?sslmode={mode}&connect_timeout=3&application_name=mine")
    assert (chosen["sslmode"], chosen["connect_timeout"], chosen["application_name"]) == (mode, "3", "mine")


def test_every_connection_has_a_name_and_a_time_limit() -> None:
    chosen = _of("postgresql://u@localhost/postgres")
    assert (chosen["application_name"], chosen["connect_timeout"]) == ("autosync-db", 10)


@pytest.mark.parametrize("absent", [None, Secret("")])
def test_no_url_is_refused_with_the_ways_to_give_one(absent: Secret | None) -> None:
    with pytest.raises(UsageError, match="no database") as caught:
        connection.parameters(absent)
    assert "AUTOSYNC_DATABASE_URL" in caught.value.hint


@pytest.mark.parametrize(
    "form",
    [
        "postgresql://u:{}@[host/db",
        "host=h password={} x",
        "postgresql://u:{}@h/db?nonsense=1",
        "postgresql://u:{}%zz@h/db",
    ],
)
def test_a_url_that_cannot_be_parsed_is_refused_without_being_quoted(form: str) -> None:
    canary = keys.secret().reveal()
    with pytest.raises(UsageError, match="cannot be parsed") as caught:
        _of(form.format(canary))
    assert canary not in caught.value.message + caught.value.hint
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
