"""What pg_net 0.20.4 consists of, and what its functions refuse; the same tests judge the real one and the stand-in."""

from __future__ import annotations

import re

import psycopg
import pytest

from tests.local.conftest import Connection, NetServer, ask
from tests.support import clusters
from tests.support.http_stub import Stub

FUNCTIONS = {
    "_await_response": ("request_id bigint", "boolean"),
    "_encode_url_with_params_array": ("url text, params_array text[]", "text"),
    "_http_collect_response": ("request_id bigint, async boolean DEFAULT true", "net.http_response_result"),
    "_urlencode_string": ("string character varying", "text"),
    "check_worker_is_up": ("", "void"),
    "http_collect_response": ("request_id bigint, async boolean DEFAULT true", "net.http_response_result"),
    "http_delete": (
        "url text, params jsonb DEFAULT '{}'::jsonb, headers jsonb DEFAULT '{}'::jsonb, "
        "timeout_milliseconds integer DEFAULT 5000, body jsonb DEFAULT NULL::jsonb",
        "bigint",
    ),
    "http_get": (
        "url text, params jsonb DEFAULT '{}'::jsonb, headers jsonb DEFAULT '{}'::jsonb, "
        "timeout_milliseconds integer DEFAULT 5000",
        "bigint",
    ),
    "http_post": (
        "url text, body jsonb DEFAULT '{}'::jsonb, params jsonb DEFAULT '{}'::jsonb, "
        'headers jsonb DEFAULT \'{"Content-Type": "application/json"}\'::jsonb, '
        "timeout_milliseconds integer DEFAULT 5000",
        "bigint",
    ),
    "wait_until_running": ("", "void"),
    "wake": ("", "void"),
    "worker_restart": ("", "boolean"),
}


def test_tables_and_index_are_those_of_pg_net(db: Connection) -> None:
    rows = db.execute(
        """
        select c.relname || '.' || a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
            pg_get_expr(d.adbin, d.adrelid), c.relpersistence::text
        from pg_attribute a join pg_class c on c.oid = a.attrelid
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        where c.relnamespace = 'net'::regnamespace and c.relkind = 'r' and a.attnum > 0
        order by c.relname desc, a.attnum
        """
    ).fetchall()
    queue, answer = "http_request_queue", "_http_response"
    assert rows == [
        (f"{queue}.id", "bigint", True, "nextval('net.http_request_queue_id_seq'::regclass)", "u"),
        (f"{queue}.method", "net.http_method", True, None, "u"),
        (f"{queue}.url", "text", True, None, "u"),
        (f"{queue}.headers", "jsonb", False, None, "u"),
        (f"{queue}.body", "bytea", False, None, "u"),
        (f"{queue}.timeout_milliseconds", "integer", True, None, "u"),
        (f"{answer}.id", "bigint", False, None, "u"),
        (f"{answer}.status_code", "integer", False, None, "u"),
        (f"{answer}.content_type", "text", False, None, "u"),
        (f"{answer}.headers", "jsonb", False, None, "u"),
        (f"{answer}.content", "text", False, None, "u"),
        (f"{answer}.timed_out", "boolean", False, None, "u"),
        (f"{answer}.error_msg", "text", False, None, "u"),
        (f"{answer}.created", "timestamp with time zone", True, "now()", "u"),
    ]
    assert db.execute("select indexname, indexdef from pg_indexes where schemaname = 'net'").fetchall() == [
        (
            "_http_response_created_idx",
            "CREATE INDEX _http_response_created_idx ON net._http_response USING btree (created)",
        )
    ]


def test_functions_have_the_signatures_of_pg_net(db: Connection) -> None:
    rows = db.execute(
        """
        select proname, pg_get_function_arguments(oid), pg_get_function_result(oid), provolatile::text,
            proisstrict, proparallel::text
        from pg_proc where pronamespace = 'net'::regnamespace and proname not like '\\_stand\\_in%'
        """
    ).fetchall()
    pure = ("_urlencode_string", "_encode_url_with_params_array")
    assert {row[0]: row[1:] for row in rows} == {
        name: (*signature, "i" if name in pure else "v", False, "u") for name, signature in FUNCTIONS.items()
    }


def test_version_and_application_name_agree_and_the_stand_in_says_what_it_is(
    net_server: NetServer, db: Connection
) -> None:
    assert ask(db, "select extversion from pg_extension where extname = 'pg_net'") == "0.20.4"
    name = ask(db, "select application_name from pg_stat_activity where pid = %s", net_server.worker_pid(db))
    assert re.fullmatch(r"pg_net 0\.20\.4( \(stand-in\))?", name)
    comment = ask(db, "select comment from pg_available_extensions where name = 'pg_net'")
    assert comment.startswith("stand-in for pg_net") is not net_server.real


def test_everybody_may_use_schema_tables_sequence_and_restart(
    net_server: NetServer, db: Connection, stub: Stub
) -> None:
    before = net_server.worker_pid(db)
    with net_server.connect("plain") as plain:
        request = ask(plain, "select net.http_get(%s)", stub.url)
        assert net_server.response(plain, request)["status_code"] == 200
        plain.execute("delete from net._http_response")
        plain.execute("truncate net.http_request_queue")
        assert ask(plain, "select has_sequence_privilege('net.http_request_queue_id_seq', 'update')")
        # who sees nothing of other sessions learns that there is no worker
        with pytest.raises(psycopg.errors.RaiseException, match="the pg_net background worker is not up"):
            plain.execute("select net.check_worker_is_up()")
        db.execute("select net.check_worker_is_up()")
        assert ask(plain, "select net.worker_restart()") is True
    clusters.wait_for(lambda: net_server.worker_pid(db) not in (None, before), "a new worker")


def test_statements_that_cannot_be_requests_fail_and_queue_nothing(net_server: NetServer, db: Connection) -> None:
    other_type = """'http://h', headers := '{"Content-Type": "application/json; charset=utf-8"}'"""
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        db.execute(f"select net.http_post({other_type})".encode())
    assert caught.value.diag.message_primary == 'Content-Type header must be "application/json"'
    for call, column in (
        ("net.http_get(null)", "url"),
        ("net.http_post('http://h', timeout_milliseconds := null)", "timeout_milliseconds"),
    ):
        with pytest.raises(psycopg.errors.NotNullViolation, match=f'null value in column "{column}" of relation'):
            db.execute(f"select {call}".encode())
    with pytest.raises(psycopg.errors.CheckViolation, match="http_method_check"):
        db.execute(
            "insert into net.http_request_queue (method, url, timeout_milliseconds) values ('put', 'http://h', 1)"
        )
    malformed = "Malformed input to a URL function"  # the real one says which part it is in
    for url, reasons in {
        "h.example/x": {"Bad scheme"},
        " http://h/": {"Bad scheme"},
        "": {"Bad scheme"},
        "http://": {"No host part in the URL"},
        "http://:80/": {"No host part in the URL"},
        "http:h": {"Unsupported number of slashes following scheme"},
        "http://h.example ": {malformed, "Bad hostname"},
        "http://h/x y": {malformed, "Bad path"},
        "http://h/\n": {malformed, "Bad path"},
        "http://h/?a b": {malformed, "Bad query"},
    }.items():
        with pytest.raises(psycopg.errors.InternalError_) as refused:
            db.execute("select net.http_get(%s)", [url])
        assert refused.value.diag.message_primary in {f'invalid URL "{url}": {reason}' for reason in reasons}
    assert ask(db, "select count(*) from net.http_request_queue") == 0


def test_params_are_escaped_and_appended_to_the_query(db: Connection) -> None:
    for url, stored in {
        "http://h/": "http://h/?a=b&c",
        "http://h/?": "http://h/?a=b&c",
        "http://h/?x": "http://h/?x&a=b&c",
        "http://h/?x&": "http://h/?x&a=b&c",
        "http://h/p#f": "http://h/p?a=b&c#f",
    }.items():
        assert ask(db, "select net._encode_url_with_params_array(%s, '{a=b,null,c}')", url) == stored
    assert ask(db, "select net._encode_url_with_params_array(null, '{}')") is None
    assert ask(db, "select net._urlencode_string(%s)", "aZ09-._~ +/ü€\n%") == "aZ09-._~%20%2B%2F%C3%BC%E2%82%AC%0A%25"
    assert ask(db, "select net._urlencode_string('')") == ""
    assert ask(db, "select net._urlencode_string(null)") is None


def test_collected_response(net_server: NetServer, db: Connection, stub: Stub) -> None:
    collect = "select to_jsonb(net._http_collect_response(%s, async := %s))"
    assert ask(db, collect, -5, True) == {
        "status": "ERROR", "message": "request matching request_id not found", "response": None,
    }  # fmt: skip
    request = ask(db, "select net.http_get(%s)", stub.url)
    result = ask(db, collect, request, False)
    assert (result["status"], result["message"]) == ("SUCCESS", "ok")
    assert result["response"]["status_code"] == 200
    assert result["response"]["body"] == stub.body
    failed = ask(db, "select net.http_get('ftp://127.0.0.1/')")
    assert ask(db, collect, failed, False)["message"] == "Unsupported protocol"
    # the old public name has lost its answer in 0.20.4
    with pytest.raises(psycopg.errors.SyntaxError, match="query has no destination for result data"):
        db.execute("select net.http_collect_response(%s)", [request])
