"""With auth = cron_secret a call carries the cron secret on its own header, and no service key is needed or sent."""

import psycopg
import pytest
from psycopg.types.json import Jsonb

from autosync_db.credentials import lease, store
from autosync_db.secret import Secret
from tests.support import clusters, keys

JOB = "auto-sync-cron-job"
Connection = psycopg.Connection[clusters.Row]


@pytest.fixture
def owner(transaction: Connection) -> Connection:
    """A session in which the job's function knows its caller by the cron secret."""
    _choose(transaction, {JOB: "cron_secret"})
    store.store(transaction, {"project_url": Secret("http://127.0.0.1:9"), "cron_secret": Secret("c" * 43)})
    return transaction


def _choose(connection: Connection, auth: dict[str, str]) -> None:
    connection.execute(
        "insert into autosync.setting (name, value) values ('function_auth', %s)"
        " on conflict (name) do update set value = excluded.value",
        [Jsonb(auth)],
    )


# what every call says of itself beside its credential
OF_THE_CALL = {"idempotency-key"} | {
    f"x-autosync-{name}" for name in ("job", "tick", "attempt", "timeout-ms", "batch-size")
}


def _sent(connection: Connection, job: str = JOB) -> dict[str, str]:
    connection.execute("delete from net.http_request_queue")
    connection.execute("select autosync.dispatch(%s, true)", [job])
    [row] = connection.execute("select headers from net.http_request_queue").fetchall()
    sent = {name.lower(): value for name, value in row[0].items()}
    return {name: value for name, value in sent.items() if name not in OF_THE_CALL}


def test_the_cron_secret_travels_alone(owner: Connection) -> None:
    store.store(owner, {"service_role_key": keys.secret()})
    assert _sent(owner) == {"content-type": "application/json", "x-autosync-cron-secret": "c" * 43}


def test_the_service_key_is_sent_by_default(owner: Connection) -> None:
    _choose(owner, {})
    key = keys.secret()
    store.store(owner, {"service_role_key": key})
    assert _sent(owner) == {"content-type": "application/json", "apikey": key.reveal()}


def test_without_its_cron_secret_no_call_is_made(owner: Connection) -> None:
    store.store(owner, {"service_role_key": keys.secret()})
    owner.execute("delete from public.pg_cron_secrets where name = 'cron_secret'")
    with pytest.raises(psycopg.errors.NoDataFound, match='the secret "cron_secret" is missing'):
        owner.execute("select autosync.dispatch()")


@pytest.mark.parametrize(
    ("key", "header"),
    [(keys.legacy("anon"), "authorization"), (Secret("sb_publishable_" + "p" * 31), "apikey")],
    ids=["anon", "publishable"],
)
def test_a_gateway_that_verifies_gets_the_public_key_besides(key: Secret, header: str, owner: Connection) -> None:
    store.store(owner, {"gateway_key": key})
    prefix = "Bearer " if header == "authorization" else ""
    assert _sent(owner) == {
        "content-type": "application/json", "x-autosync-cron-secret": "c" * 43, header: prefix + key.reveal(),
    }  # fmt: skip


def test_each_job_has_its_own_way(owner: Connection) -> None:
    owner.execute("insert into autosync.job (name, function, schedule) values ('other', 'other', '0 0 1 1 *')")
    key = keys.secret()
    store.store(owner, {"service_role_key": key})
    assert _sent(owner, "other")["apikey"] == key.reveal()
    assert _sent(owner)["x-autosync-cron-secret"] == "c" * 43
    assert store.needed(owner, JOB) == ("cron_secret", "project_url")
    assert store.needed(owner, "other") == ("project_url", "service_role_key")
    assert store.needed(owner) == ("cron_secret", "project_url", "service_role_key")


def test_what_a_rotation_replaces_is_no_excerpt(owner: Connection) -> None:
    assert lease.begin(owner, {"cron_secret": Secret("n" * 43)})
    row = owner.execute("select autosync.excerpt(%s)", [f"{'c' * 43} {'n' * 43} fine"]).fetchone()
    assert row == ("*** *** fine",)


@pytest.mark.parametrize(
    ("target", "header", "besides"),
    [("function", "x-cron-token", {"apikey"}), ("function", "Authorization", set()), ("url", "x-cron-token", set())],
)
def test_a_secret_of_a_function_goes_through_the_gateway_too(
    target: str, header: str, besides: set[str], transaction: Connection
) -> None:
    secrets = {"project_url": "http://127.0.0.1:9", "gateway_key": "sb_publishable_" + "p" * 31, "token": "t" * 30}
    store.store(transaction, {name: Secret(value) for name, value in secrets.items()})
    transaction.execute(
        "insert into autosync.job (name, function, url, schedule, auth, secret_name, secret_header)"
        " values ('other', %s, %s, '0 0 1 1 *', 'secret', 'token', %s)",
        ["report" if target == "function" else None, "http://127.0.0.1:9/in" if target == "url" else None, header],
    )
    assert _sent(transaction, "other").keys() == {"content-type", header.lower()} | besides
