"""autosync.dispatch(): what it sends, what it refuses to send, and what it writes down."""

import psycopg
import pytest
from psycopg.types.json import Jsonb

from autosync_db.local.cluster import Cluster
from autosync_db.secret import Secret
from tests.jobs.conftest import Chain
from tests.support import clusters, keys
from tests.support.held_up import HOLDS_UP, held_up
from tests.support.http_stub import Stub

URL = "http://project.internal"
_QUEUED = "select url, headers::text from net.http_request_queue"


@pytest.mark.parametrize(
    ("missing", "blank", "broken"),
    [
        (None, "", f"{URL} /x"),
        (None, "   ", "http://pro\tject.internal"),
        (None, "\n", f"{URL}\n{URL}"),
    ],
)
def test_a_url_that_cannot_be_used_is_named_and_nothing_is_queued(
    missing: None, blank: str, broken: str, unsent: Chain
) -> None:
    for value, complaint in ((missing, "is missing"), (blank, "is blank"), (broken, "contains blanks")):
        unsent.store(value, keys.legacy())
        _refused(unsent, f'the secret "project_url" .*{complaint}|the secret "project_url" {complaint}')


@pytest.mark.parametrize("kind", ["legacy", "secret"])
def test_a_key_that_cannot_be_used_is_named_and_nothing_is_queued(kind: str, unsent: Chain) -> None:
    key = getattr(keys, kind)().reveal()
    middle = len(key) // 2
    for value, complaint in (
        (None, "is missing"),
        (" \r\n", "is blank"),
        (f"{key[:middle]} {key[middle:]}", "contains blanks"),
        (f"{key[:middle]}\n{key[middle:]}", "contains blanks"),
        (f"{key[:middle]}\u00a0{key[middle:]}", "contains blanks"),
        (f"{key[:middle]}\u200b{key[middle:]}", "contains blanks"),
    ):
        unsent.store(URL, None if value is None else Secret(value))
        message = _refused(
            unsent, f'the secret "service_role_key" .*{complaint}|the secret "service_role_key" {complaint}'
        )
        assert key[:middle] not in message


def _refused(chain: Chain, pattern: str) -> str:
    with pytest.raises(psycopg.Error, match=pattern) as caught, chain.connection.transaction():
        chain.dispatch()
    hint = "repair secrets_clean" if "contains blanks" in str(caught.value) else "setup"
    assert caught.value.diag.message_hint == f"run: autosync-db {hint}"
    assert chain.queued() == []
    assert chain.value("select count(*) from autosync.tick") == 0
    return str(caught.value)


def test_a_key_with_a_line_end_is_sent_without_it(unsent: Chain) -> None:
    key = keys.legacy()
    unsent.store(f" {URL}\n", Secret(key.reveal() + "\r\n"))
    unsent.dispatch()
    ((url, headers, _, _),) = unsent.queued()
    assert url == f"{URL}/functions/v1/auto-sync-cron"
    assert headers["Authorization"] == f"Bearer {key.reveal()}"


def test_a_legacy_key_arrives_as_bearer_and_as_nothing_else(chain: Chain, stub: Stub) -> None:
    key = keys.legacy()
    chain.store(stub.url, key)
    chain.settled(chain.dispatch())
    (request,) = stub.requests
    assert request.headers["authorization"] == f"Bearer {key.reveal()}"
    assert "apikey" not in request.headers


def test_a_secret_key_arrives_as_apikey_and_as_nothing_else(chain: Chain, stub: Stub) -> None:
    key = keys.secret()
    chain.store(stub.url, key)
    chain.settled(chain.dispatch())
    (request,) = stub.requests
    assert request.headers["apikey"] == key.reveal()
    assert "authorization" not in request.headers


def test_the_request_is_a_json_post_that_names_its_tick(chain: Chain, stub: Stub) -> None:
    tick = chain.dispatch()
    chain.settled(tick)
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/functions/v1/auto-sync-cron")
    assert request.headers["content-type"] == "application/json"
    assert request.body == b"{}"
    sent = {name: value for name, value in request.headers.items() if name.startswith("x-autosync")}
    assert sent == {
        "x-autosync-job": "auto-sync-cron-job",
        "x-autosync-tick": str(tick),
        "x-autosync-attempt": "1",
        "x-autosync-timeout-ms": "30000",
        "x-autosync-batch-size": "50",
    }
    assert request.headers["idempotency-key"] == str(
        chain.value("select idempotency_key from autosync.invocation where tick_id = %s", tick)
    )


@pytest.mark.parametrize("slashes", ["", "/", "//"])
def test_a_trailing_slash_of_the_project_url_does_no_harm(slashes: str, unsent: Chain) -> None:
    unsent.store(URL + slashes, keys.legacy())
    unsent.dispatch()
    assert [url for url, *_ in unsent.queued()] == [f"{URL}/functions/v1/auto-sync-cron"]


def test_the_timeout_is_the_jobs_and_not_the_extensions(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.dispatch()
    unsent.connection.execute("update autosync.job set timeout_milliseconds = 12345")
    unsent.dispatch()
    assert [timeout for *_, timeout in unsent.queued()] == [30000, 12345]
    assert unsent.value("select array_agg(timeout_milliseconds order by id) from autosync.invocation") == [
        30000,
        12345,
    ]


def test_the_tick_is_written_down(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(3)
    unsent.connection.execute("set local application_name = 'pg_cron'")
    tick = unsent.dispatch()
    row = unsent.connection.execute(
        "select job_id, backend_pid = pg_backend_pid(), caller, due, decision,"
        " epoch is not null, clock_timestamp() - ticked_at < interval '5 seconds'"
        " from autosync.tick where id = %s",
        [tick],
    ).fetchone()
    assert row == (1, True, "pg_cron", 3, "posted", True, True)


@pytest.mark.parametrize(("due", "requests"), [(0, 1), (1, 1), (50, 1), (51, 2), (120, 3), (200, 4), (900, 4)])
def test_much_work_is_spread_over_several_requests_up_to_the_cap(due: int, requests: int, unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(due)
    unsent.dispatch()
    assert len(unsent.queued()) == requests
    assert unsent.value("select count(distinct request_id) from autosync.invocation") == requests


def test_a_claimed_schedule_is_not_due(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.add_due(2)
    unsent.connection.execute("select public.auto_sync_claim(1)")
    assert unsent.value("select due from autosync.tick where id = %s", unsent.dispatch()) == 1


def test_when_due_makes_no_call_while_nothing_is_due(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute("update autosync.job set invoke = 'when_due'")
    tick = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "idle"
    assert unsent.queued() == []
    unsent.add_due(1)
    tick = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "posted"
    assert len(unsent.queued()) == 1


def test_a_paused_job_makes_no_call_and_needs_no_secret(unsent: Chain) -> None:
    unsent.add_due(1)
    unsent.connection.execute("update autosync.job set paused_at = now(), paused_by = 'somebody'")
    tick = unsent.dispatch()
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "paused"
    assert unsent.queued() == []


@pytest.mark.parametrize("state", ["invoke = 'when_due'", "paused_at = now(), paused_by = 'somebody'"])
def test_force_calls_in_spite_of_it(state: str, unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute(f"update autosync.job set {state}".encode())
    tick = unsent.dispatch(force=True)
    assert unsent.value("select decision from autosync.tick where id = %s", tick) == "posted"
    assert len(unsent.queued()) == 1


def test_an_unknown_job_is_refused(unsent: Chain) -> None:
    with pytest.raises(psycopg.Error, match='no job named "nobody"'):
        unsent.value("select autosync.dispatch('nobody')")


def test_a_second_job_calls_its_own_function(unsent: Chain) -> None:
    unsent.store(URL, keys.legacy())
    unsent.connection.execute(
        "insert into autosync.job (name, function, schedule) values ('nightly', 'clean-up', '0 3 * * *')"
    )
    tick = unsent.value("select autosync.dispatch('nightly')")
    assert [url for url, *_ in unsent.queued()] == [f"{URL}/functions/v1/clean-up"]
    assert (
        unsent.value(
            "select j.name from autosync.invocation as i join autosync.job as j on j.id = i.job_id where tick_id = %s",
            tick,
        )
        == "nightly"
    )


def test_no_key_is_kept_in_the_ledger(chain: Chain, stub: Stub) -> None:
    key = keys.secret()
    chain.store(stub.url, key)
    stub.answer(500, {"received": key.reveal()})
    chain.settled(chain.dispatch())
    ledger = chain.value(
        "select concat((select string_agg(t::text, ' ') from autosync.tick as t),"
        " (select string_agg(i::text, ' ') from autosync.invocation as i))"
    )
    assert key.reveal() not in ledger


@pytest.mark.parametrize(
    ("function", "line", "instead"),
    [
        pytest.param(
            "read_secret(text)", "return found_value;",
            f"if read_secret.secret_name in ('project_url', 'mail_key') then perform {HOLDS_UP}; end if;"
            " return found_value;",
            id="while it reads them",
        ),
        pytest.param("check_binding()", "begin\n", f"begin perform {HOLDS_UP};\n", id="before it reads them"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("job", ["auto-sync-cron-job", "mail"])
def test_address_and_credential_are_of_one_moment(
    job: str, function: str, line: str, instead: str, chain: Chain, served: Cluster
) -> None:
    """Whoever stores another address and its key in between does not get that key sent to the old address."""
    older, newer = keys.secret(), keys.secret()
    chain.store("http://old.internal", older)
    chain.connection.execute("insert into public.pg_cron_secrets values ('mail_key', %s)", [older.reveal()])
    chain.connection.execute(
        "insert into autosync.job (name, url, schedule, auth, secret_name, secret_header)"
        " values ('mail', 'http://old.internal', '0 3 * * *', 'secret', 'mail_key', 'x-key')"
    )
    with (
        held_up(served, (function, line, instead), f"select autosync.dispatch('{job}', true)", _QUEUED) as sent,
        chain.connection.transaction(),
    ):
        chain.connection.execute("update autosync.job set url = 'http://new.internal' where name = 'mail'")
        chain.connection.execute(
            "update public.pg_cron_secrets set secret = case name when 'project_url' then 'http://new.internal'"
            " else %s end",
            [newer.reveal()],
        )
    [(url, headers)] = sent
    assert (url.startswith("http://new.internal"), newer.reveal() in headers) in {(True, True), (False, False)}


@pytest.mark.parametrize(
    "statement",
    ["select autosync.dispatch('nightly', false)", "select autosync.retry_calls(10)"],
    ids=["tick", "retry"],
)
def test_a_copy_that_gets_its_own_project_meanwhile_is_not_called_before_that_is_proven(
    statement: str, chain: Chain, served: Cluster
) -> None:
    parent, own = "p" * 20, "o" * 20
    chain.connection.execute(
        "insert into autosync.setting (name, value) values ('binding', %s)",
        [Jsonb({"project_ref": parent, "inherited_by": own})],
    )
    chain.connection.execute(
        "with made as (insert into autosync.job (name, function, schedule, retry_attempts)"
        " values ('nightly', 'nightly', '0 3 * * *', 5) returning id)"
        " insert into autosync.invocation (job_id, request_id, timeout_milliseconds, settled_at, outcome, retry_at)"
        " select id, 1, 1000, now(), 'timed_out', now() from made"
    )
    place = ("post_calls(text,bigint,integer,bigint)", "begin\n", f"begin perform {HOLDS_UP};\n")
    with held_up(served, place, statement, _QUEUED) as found, chain.connection.transaction():
        chain.connection.execute(
            "update autosync.setting set value = %s where name = 'binding'",
            [Jsonb({"project_ref": own, "proving": True})],
        )
        chain.store(f"https://{own}.supabase.co", keys.secret())
    assert all(text.startswith("no call is made") for (text,) in found), found


@pytest.fixture
def nightly(chain: Chain) -> Chain:
    """The chain with a job of which no two calls may overlap, and a call of it that is to be repeated now."""
    chain.connection.execute(
        "select autosync.begin_epoch();"
        " with made as (insert into autosync.job (name, function, schedule, retry_attempts, overlap)"
        " values ('nightly', 'nightly', '0 3 * * *', 5, 'skip') returning id)"
        " insert into autosync.invocation (job_id, request_id, timeout_milliseconds, settled_at, outcome, retry_at)"
        " select id, 1, 1000, now(), 'network_error', now() from made"
    )
    return chain


def test_a_tick_and_a_repeated_call_at_once_are_one_call_where_none_may_overlap(
    nightly: Chain, served: Cluster
) -> None:
    with clusters.connect(served) as housekeeping, housekeeping.transaction():
        assert housekeeping.execute("select autosync.retry_calls(10)").fetchone() == (1,)
        tick = nightly.value("select autosync.dispatch('nightly')")
    assert nightly.value("select decision from autosync.tick where id = %s", tick) == "overlapping"
    assert nightly.value("select count(*) from autosync.invocation as i where i.retries is not null") == 1


def test_a_call_is_repeated_when_no_other_is_unanswered_where_none_may_overlap(nightly: Chain) -> None:
    open_call = nightly.value(
        "insert into autosync.invocation (job_id, request_id, timeout_milliseconds, outcome, report_due_at, epoch)"
        " select j.id, 2, 1000, 'accepted', now() + interval '10 minutes', autosync.begin_epoch()"
        " from autosync.job as j where j.name = 'nightly' returning id"
    )
    assert nightly.value("select autosync.retry_calls(10)") == 0
    nightly.connection.execute(
        "update autosync.invocation set outcome = 'ok', settled_at = now() where id = %s", [open_call]
    )
    assert nightly.value("select autosync.retry_calls(10)") == 1
