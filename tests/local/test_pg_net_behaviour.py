"""What users of pg_net 0.20.4 observe; the same tests judge the real extension and the stand-in."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

if TYPE_CHECKING:
    from tests.local.conftest import NetServer

Row = dict[str, Any]


@dataclass(slots=True)
class Received:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Stub:
    """An HTTP/1.1 server that remembers what it was sent."""

    port: int
    received: list[Received] = field(default_factory=list)
    release: threading.Event = field(default_factory=threading.Event)

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    def at(self, path: str) -> list[Received]:
        return [request for request in self.received if urlsplit(request.path).path == path]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    stub: Stub

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.stub.received.append(Received(self.command, self.path, dict(self.headers.items()), body))
        parts = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        if parts.path == "/status":
            self.reply(
                int(query["c"]),
                b'{"code": 1}',
                [("Content-Type", "application/json"), ("sb-error-code", "X")],
            )
        elif parts.path == "/slow":
            self.stub.release.wait(float(query.get("s", "10")))
            self.reply(200, b"slow", [("Content-Type", "text/plain")])
        elif parts.path == "/redir":
            self.reply(302, b"", [("Location", "/ok"), ("Content-Type", "text/html")])
        elif parts.path == "/bad":
            self.reply(200, b"a\xffz", [("Content-Type", "text/plain")])
        elif parts.path == "/nul":
            self.reply(200, b"before\0after", [("Content-Type", "text/plain")])
        elif parts.path == "/empty":
            self.reply(204, b"", [])
        elif parts.path == "/twice":
            self.reply(200, b"x", [("X-Two", "first"), ("X-Two", "  second  "), ("X-None", "")])
        else:
            self.reply(200, b'{"ok": true}', [("Content-Type", "application/json")])

    do_GET = do_POST = do_DELETE = answer  # noqa: N815

    def reply(self, status: int, body: bytes, headers: list[tuple[str, str]]) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def stub() -> Iterator[Stub]:
    class Bound(Handler):
        pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Bound)
    server.daemon_threads = True
    Bound.stub = Stub(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield Bound.stub
    finally:
        Bound.stub.release.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def db(net_server: NetServer) -> Iterator[psycopg.Connection[Any]]:
    """A connection of the role `postgres` to tables without rows."""
    with net_server.connect() as connection:
        connection.execute("truncate net.http_request_queue, net._http_response")
        yield connection


@pytest.fixture
def admin(net_server: NetServer) -> Iterator[psycopg.Connection[Any]]:
    with net_server.connect("supabase_admin") as connection:
        yield connection


def ask(connection: psycopg.Connection[Any], query: str, *values: object) -> Any:
    """Return the first column of the only row."""
    row = connection.execute(query, values).fetchone()
    assert row is not None
    return row[0]


def response(server: NetServer, connection: psycopg.Connection[Any], request: int, seconds: float = 15.0) -> Row:
    """Wait for the response and return it, its text as bytes because it need not be valid."""
    query = """
        select id, status_code, content_type, headers, textsend(content) as content, timed_out,
            error_msg, created
        from net._http_response where id = %s
    """

    def read() -> Row | None:
        cursor = connection.execute(query, [request])
        row = cursor.fetchone()
        return None if row is None else dict(zip([c.name for c in cursor.description or ()], row, strict=True))

    found = server.wait_for(read, seconds=seconds)
    assert found is not None
    return found


def worker_pid(connection: psycopg.Connection[Any]) -> int | None:
    row = connection.execute(
        """
        select pid from pg_stat_activity
        where application_name like 'pg\\_net 0.20.4%' and usename = 'postgres'
        """
    ).fetchone()
    return None if row is None else int(row[0])


def restart(server: NetServer, admin: psycopg.Connection[Any]) -> None:
    """Have the worker start again and wait until the new one is there."""
    before = server.wait_for(lambda: worker_pid(admin))
    admin.execute("select net.worker_restart()")
    server.wait_for(lambda: worker_pid(admin) not in (None, before))


@pytest.fixture
def settings(net_server: NetServer, admin: psycopg.Connection[Any]) -> Iterator[psycopg.Connection[Any]]:
    """The superuser's connection, for tests that change pg_net's settings; they are reset afterwards."""
    yield admin
    admin.execute("alter system reset all")
    admin.execute("select net.worker_restart()")
    time.sleep(1.2)  # one restart delay: a worker that crashes in a loop shows no stable process to wait for
    net_server.wait_for(lambda: worker_pid(admin))


# --- what the extension consists of ------------------------------------------------------------------------


def test_tables_have_the_columns_of_pg_net(db: psycopg.Connection[Any]) -> None:
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


def test_only_index_is_on_created(db: psycopg.Connection[Any]) -> None:
    assert db.execute("select indexname, indexdef from pg_indexes where schemaname = 'net'").fetchall() == [
        (
            "_http_response_created_idx",
            "CREATE INDEX _http_response_created_idx ON net._http_response USING btree (created)",
        )
    ]


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


def test_functions_have_the_signatures_of_pg_net(db: psycopg.Connection[Any]) -> None:
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


def test_everybody_may_use_schema_tables_and_sequence(net_server: NetServer, stub: Stub) -> None:
    with net_server.connect("plain") as plain:
        request = ask(plain, "select net.http_get(%s)", stub.url("/ok"))
        assert response(net_server, plain, request)["status_code"] == 200
        plain.execute("delete from net._http_response")
        plain.execute("truncate net.http_request_queue")
        assert ask(plain, "select has_sequence_privilege('net.http_request_queue_id_seq', 'update')")


def test_version_and_application_name_agree(db: psycopg.Connection[Any]) -> None:
    assert ask(db, "select extversion from pg_extension where extname = 'pg_net'") == "0.20.4"
    name = ask(db, "select application_name from pg_stat_activity where pid = %s", worker_pid(db))
    assert re.fullmatch(r"pg_net 0\.20\.4( \(stand-in\))?", name)


def test_stand_in_says_what_it_is(net_server: NetServer, db: psycopg.Connection[Any]) -> None:
    comment = ask(db, "select comment from pg_available_extensions where name = 'pg_net'")
    assert comment.startswith("stand-in for pg_net") is not net_server.real


# --- requests and responses --------------------------------------------------------------------------------


def test_get(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(
        db,
        'select net.http_get(%s, \'{"q": "a b&\\u00fc/~", "n": null}\', \'{"X-One": "1"}\')',
        stub.url("/echo?p=1"),
    )
    row = response(net_server, db, request)
    assert (row["status_code"], row["content_type"], row["content"]) == (
        200,
        "application/json",
        b'{"ok": true}',
    )
    assert (row["timed_out"], row["error_msg"]) == (False, None)
    assert row["headers"] == {"Content-Type": "application/json", "Content-Length": "12"}
    [sent] = stub.received
    # libcurl's versions differ in the case of the hexadecimal digits
    assert (sent.method, sent.path.upper(), sent.body) == (
        "GET",
        "/ECHO?P=1&Q=A%20B%26%C3%BC%2F~".upper(),
        b"",
    )
    assert sent.headers == {
        "Host": f"127.0.0.1:{stub.port}", "Accept": "*/*", "X-One": "1", "User-Agent": "pg_net/0.20.4",
    }  # fmt: skip


def test_queue_is_empty_afterwards(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    response(net_server, db, ask(db, "select net.http_get(%s)", stub.url("/ok")))
    assert ask(db, "select count(*) from net.http_request_queue") == 0


@pytest.mark.parametrize(
    ("headers", "sent_type"),
    [
        ('{"Content-Type": "application/json"}', "application/json"),
        ('{"content-type": "application/json"}', "application/json"),
        ('{"X-One": "1"}', "application/json"),
        ("{}", "application/json"),
        ('{"Content-Type": null}', "application/json"),
        (None, "application/x-www-form-urlencoded"),
    ],
)
def test_post_content_type(
    net_server: NetServer, db: psycopg.Connection[Any], stub: Stub, headers: str | None, sent_type: str
) -> None:
    request = ask(
        db,
        'select net.http_post(%s, \'{"a": [1, "\\u00fc"]}\', headers := %s::jsonb)',
        stub.url("/echo"),
        headers,
    )
    assert response(net_server, db, request)["status_code"] == 200
    [sent] = stub.received
    assert (sent.method, sent.body) == ("POST", '{"a": [1, "ü"]}'.encode())
    assert [value for name, value in sent.headers.items() if name.lower() == "content-type"] == [sent_type]
    assert sent.headers["User-Agent"] == "pg_net/0.20.4"


def test_post_refuses_another_content_type(db: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.RaiseException) as caught:
        db.execute(
            """
            select net.http_post('http://h', headers := '{"Content-Type": "application/json; charset=utf-8"}')
            """
        )
    assert caught.value.diag.message_primary == 'Content-Type header must be "application/json"'


def test_post_without_body(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(db, "select net.http_post(%s, null)", stub.url("/echo"))
    assert response(net_server, db, request)["status_code"] == 200
    assert (stub.received[0].method, stub.received[0].body) == ("POST", b"")
    assert stub.received[0].headers["Content-Length"] == "0"


@pytest.mark.parametrize("body", [None, '{"a": 1}'])
def test_delete(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub, body: str | None) -> None:
    request = ask(db, "select net.http_delete(%s, body := %s::jsonb)", stub.url("/echo"), body)
    assert response(net_server, db, request)["status_code"] == 200
    assert (stub.received[0].method, stub.received[0].body) == ("DELETE", (body or "").encode())


def test_body_ends_at_first_nul(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(
        db,
        """
        insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
        values ('pOsT', %s, '{}', '\\x610062', 5000) returning id
        """,
        stub.url("/echo"),
    )
    db.execute("select net.wake()")
    response(net_server, db, request)
    assert (stub.received[0].method, stub.received[0].body) == ("POST", b"a")


def test_get_with_body(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(
        db,
        """
        insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)
        values ('GET', %s, null, 'abc', 5000) returning id
        """,
        stub.url("/echo"),
    )
    db.execute("select net.wake()")
    response(net_server, db, request)
    assert (stub.received[0].method, stub.received[0].body) == ("GET", b"abc")


def test_header_of_null_is_left_out(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(
        db,
        """
        select net.http_post(
            %s, headers := jsonb_build_object('Authorization', 'Bearer ' || null, 'X-One', 1)
        )
        """,
        stub.url("/echo"),
    )
    assert response(net_server, db, request)["status_code"] == 200
    assert "Authorization" not in stub.received[0].headers
    assert stub.received[0].headers["X-One"] == "1"


def test_newline_in_header_cuts_the_request(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(
        db,
        """
        select net.http_post(
            %s, '{"a": 1}', headers := jsonb_build_object('A', E'abc\\n', 'X-After', 'lost')
        )
        """,
        stub.url("/echo"),
    )
    assert response(net_server, db, request)["status_code"] == 200
    assert stub.received[0].headers["A"] == "abc"
    assert "X-After" not in stub.received[0].headers
    assert stub.received[0].body == b""


@pytest.mark.parametrize("code", [401, 404, 429, 500, 504, 546])
def test_error_status_is_a_response(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub, code: int) -> None:
    row = response(net_server, db, ask(db, "select net.http_post(%s)", stub.url(f"/status?c={code}")))
    assert (row["status_code"], row["error_msg"], row["timed_out"]) == (code, None, False)
    assert row["headers"]["sb-error-code"] == "X"
    assert row["content"] == b'{"code": 1}'


def test_empty_response_has_null_content(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    row = response(net_server, db, ask(db, "select net.http_get(%s)", stub.url("/empty")))
    assert (row["status_code"], row["content"], row["content_type"], row["headers"]) == (204, None, None, {})


def test_repeated_header_keeps_the_last(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    row = response(net_server, db, ask(db, "select net.http_get(%s)", stub.url("/twice")))
    # libcurl before 8 left the line end in an empty value
    assert row["headers"].pop("X-None") in ("", "\r")
    assert row["headers"] == {"X-Two": "second", "Content-Length": "1"}


def test_content_ends_at_first_nul(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    assert response(net_server, db, ask(db, "select net.http_get(%s)", stub.url("/nul")))["content"] == b"before"


def test_invalid_utf8_is_stored_unchecked(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(db, "select net.http_get(%s)", stub.url("/bad"))
    assert response(net_server, db, request)["content"] == b"a\xffz"
    with pytest.raises(UnicodeDecodeError):
        db.execute("select content from net._http_response where id = %s", [request]).fetchone()


def test_redirect_turns_post_into_get(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    request = ask(
        db,
        """select net.http_post(%s, '{"a": 1}', headers := '{"Authorization": "Bearer x"}')""",
        stub.url("/redir"),
    )
    row = response(net_server, db, request)
    assert [(sent.method, sent.path, sent.body) for sent in stub.received] == [
        ("POST", "/redir", b'{"a": 1}'),
        ("GET", "/ok", b""),
    ]
    assert stub.received[1].headers["Authorization"] == "Bearer x"
    assert (row["status_code"], row["content"]) == (200, b'{"ok": true}')
    # the type is that of the last response, the headers are those of the first
    assert row["content_type"] == "application/json"
    assert row["headers"]["Location"] == "/ok"


# --- failures ----------------------------------------------------------------------------------------------


def test_timeout(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    row = response(net_server, db, ask(db, "select net.http_get(%s, timeout_milliseconds := 300)", stub.url("/slow")))
    assert (row["status_code"], row["headers"], row["content"], row["timed_out"]) == (None, None, None, True)
    match = re.fullmatch(
        r"Timeout of 300 ms reached\. Total time: (\d+\.\d{6}) ms \(DNS time: (\d+\.\d{6}) ms, "
        r"TCP/SSL handshake time: (\d+\.\d{6}) ms, HTTP Request/Response time: (\d+\.\d{6}) ms\)",
        row["error_msg"],
    )
    assert match is not None, row["error_msg"]
    total, dns, handshake, http = map(float, match.groups())
    assert 295 <= total < 1000
    assert http > 0.9 * total > dns + handshake


def test_timeout_in_the_handshake_is_charged_to_it(net_server: NetServer, db: psycopg.Connection[Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        row = response(net_server, db, ask(db, "select net.http_get(%s, timeout_milliseconds := 300)", url))
    match = re.search(r"handshake time: ([\d.]+) ms, HTTP Request/Response time: ([\d.]+) ms", row["error_msg"])
    assert match is not None
    assert float(match[1]) > 250
    assert float(match[2]) == 0


# libcurl has reworded some of its texts over the years; each is one of its own
@pytest.mark.parametrize(
    ("url", "texts"),
    [
        ("http://127.0.0.1:1/x", {"Couldn't connect to server", "Could not connect to server"}),
        ("http://nosuchhost.invalid/x", {"Couldn't resolve host name", "Could not resolve hostname"}),
        ("ftp://127.0.0.1/x", {"Unsupported protocol"}),
        ("https://127.0.0.1:{port}/ok", {"SSL connect error"}),
    ],
)
def test_transport_error(
    net_server: NetServer, db: psycopg.Connection[Any], stub: Stub, url: str, texts: set[str]
) -> None:
    row = response(net_server, db, ask(db, "select net.http_get(%s)", url.format(port=stub.port)), seconds=20)
    assert row["error_msg"] in texts
    assert (row["timed_out"], row["status_code"]) == (False, None)


def test_closed_connection(net_server: NetServer, db: psycopg.Connection[Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            caller, _ = rude.accept()
            caller.recv(1000)
            caller.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        row = response(net_server, db, ask(db, "select net.http_get(%s)", f"http://127.0.0.1:{rude.getsockname()[1]}/"))
        thread.join()
    assert row["error_msg"] == "Server returned nothing (no headers, no data)"


@pytest.mark.parametrize(
    ("url", "reasons"),
    [
        ("h.example/x", {"Bad scheme"}),
        (" http://h/", {"Bad scheme"}),
        ("", {"Bad scheme"}),
        ("http://", {"No host part in the URL"}),
        ("http://:80/", {"No host part in the URL"}),
        ("http:h", {"Unsupported number of slashes following scheme"}),
        # the real one says which part it is in
        ("http://h.example ", {"Malformed input to a URL function", "Bad hostname"}),
        ("http://h/x y", {"Malformed input to a URL function", "Bad path"}),
        ("http://h/\n", {"Malformed input to a URL function", "Bad path"}),
        ("http://h/?a b", {"Malformed input to a URL function", "Bad query"}),
    ],
)
def test_what_can_be_no_url_fails_in_the_statement(db: psycopg.Connection[Any], url: str, reasons: set[str]) -> None:
    with pytest.raises(psycopg.errors.InternalError_) as caught:
        db.execute("select net.http_get(%s)", [url])
    assert caught.value.diag.message_primary in {f'invalid URL "{url}": {reason}' for reason in reasons}
    assert ask(db, "select count(*) from net.http_request_queue") == 0


@pytest.mark.parametrize("url", ["http://a*b/", "http://h:99999/", "http://[::1/"])
def test_what_libcurl_takes_for_no_url_fails_in_the_statement_or_the_worker(
    net_server: NetServer, db: psycopg.Connection[Any], url: str
) -> None:
    if net_server.real:
        with pytest.raises(psycopg.errors.InternalError_, match="invalid URL"):
            db.execute("select net.http_get(%s)", [url])
        return
    row = response(net_server, db, ask(db, "select net.http_get(%s)", url))
    assert row["error_msg"] == "URL using bad/illegal format or missing URL"


@pytest.mark.parametrize(
    ("url", "stored"),
    [
        ("http://h/", "http://h/?a=b&c"),
        ("http://h/?", "http://h/?a=b&c"),
        ("http://h/?x", "http://h/?x&a=b&c"),
        ("http://h/?x&", "http://h/?x&a=b&c"),
        ("http://h/p#f", "http://h/p?a=b&c#f"),
        (None, None),
    ],
)
def test_params_are_appended(db: psycopg.Connection[Any], url: str | None, stored: str | None) -> None:
    assert ask(db, "select net._encode_url_with_params_array(%s, '{a=b,null,c}')", url) == stored


def test_urlencode_string(db: psycopg.Connection[Any]) -> None:
    assert ask(db, "select net._urlencode_string(%s)", "aZ09-._~ +/ü€\n%") == "aZ09-._~%20%2B%2F%C3%BC%E2%82%AC%0A%25"
    assert ask(db, "select net._urlencode_string('')") == ""
    assert ask(db, "select net._urlencode_string(null)") is None


@pytest.mark.parametrize(
    ("call", "column"),
    [
        ("net.http_get(null)", "url"),
        ("net.http_post('http://h', timeout_milliseconds := null)", "timeout_milliseconds"),
    ],
)
def test_null_argument_violates_the_table(db: psycopg.Connection[Any], call: str, column: str) -> None:
    with pytest.raises(psycopg.errors.NotNullViolation, match=f'null value in column "{column}" of relation'):
        db.execute(f"select {call}".encode())


def test_unknown_method_violates_the_domain(db: psycopg.Connection[Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation, match="http_method_check"):
        db.execute(
            """
            insert into net.http_request_queue (method, url, timeout_milliseconds)
            values ('put', 'http://h', 1)
            """
        )


# --- when requests are sent --------------------------------------------------------------------------------


def test_request_is_sent_at_commit_only(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    with net_server.connect() as other:
        db.execute("begin")
        held = ask(db, "select net.http_get(%s)", stub.url("/held"))
        # a request of another session wakes the worker meanwhile
        response(net_server, other, ask(other, "select net.http_get(%s)", stub.url("/other")))
        assert stub.at("/held") == []
        db.execute("commit")
        assert response(net_server, db, held)["status_code"] == 200


def test_rolled_back_request_is_never_sent(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    db.execute("begin")
    db.execute("select net.http_get(%s)", [stub.url("/never")])
    db.execute("rollback")
    response(net_server, db, ask(db, "select net.http_get(%s)", stub.url("/ok")))
    assert [sent.path for sent in stub.received] == ["/ok"]


def asleep(server: NetServer, connection: psycopg.Connection[Any], stub: Stub) -> None:
    """Wait until the worker is surely asleep: it looks once more a second after its last batch."""
    response(server, connection, ask(connection, "select net.http_get(%s)", stub.url("/ok")))
    time.sleep(2.5)


def insert_directly(connection: psycopg.Connection[Any], url: str) -> int:
    return int(
        ask(
            connection,
            """
            insert into net.http_request_queue (method, url, timeout_milliseconds) values ('GET', %s, 5000)
            returning id
            """,
            url,
        )
    )


def test_inserted_row_waits_for_a_wake(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    asleep(net_server, db, stub)
    request = insert_directly(db, stub.url("/directly"))
    time.sleep(2.5)
    assert stub.at("/directly") == []
    db.execute("select net.wake()")
    assert response(net_server, db, request)["status_code"] == 200


def test_restart_sends_what_is_left(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    asleep(net_server, db, stub)
    request = insert_directly(db, stub.url("/directly"))
    db.execute("select net.worker_restart()")
    assert response(net_server, db, request)["status_code"] == 200


def test_locked_table_sends_the_worker_back_to_sleep(
    net_server: NetServer, db: psycopg.Connection[Any], admin: psycopg.Connection[Any], stub: Stub
) -> None:
    asleep(net_server, db, stub)
    admin.execute("begin")
    admin.execute("lock table net._http_response in access exclusive mode")
    request = ask(db, "select net.http_get(%s)", stub.url("/late"))
    time.sleep(1.0)
    admin.execute("commit")
    time.sleep(2.5)
    assert stub.at("/late") == []
    assert ask(db, "select count(*) from net.http_request_queue") == 1
    db.execute("select net.wake()")
    assert response(net_server, db, request)["status_code"] == 200


def test_slow_request_holds_back_the_whole_batch(
    net_server: NetServer, db: psycopg.Connection[Any], stub: Stub
) -> None:
    db.execute("begin")
    slow = ask(db, "select net.http_get(%s, timeout_milliseconds := 20000)", stub.url("/slow"))
    fast = ask(db, "select net.http_get(%s)", stub.url("/ok"))
    db.execute("commit")
    net_server.wait_for(lambda: stub.at("/slow") and stub.at("/ok"))
    time.sleep(1.0)
    assert ask(db, "select count(*) from net._http_response") == 0
    finished = ask(db, "select clock_timestamp()")
    stub.release.set()
    rows = [response(net_server, db, request) for request in (slow, fast)]
    # both carry the start of the batch, long before the slow one answered
    assert rows[0]["created"] == rows[1]["created"]
    assert (finished - rows[0]["created"]).total_seconds() > 0.9


def test_requests_of_a_batch_run_at_once(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    started = time.monotonic()
    ids = [row[0] for row in db.execute("select net.http_get(%s) from generate_series(1, 20)", [stub.url("/slow?s=1")])]
    for request in ids:
        assert response(net_server, db, request)["status_code"] == 200
    assert time.monotonic() - started < 8


def test_failing_trigger_resends_the_batch(
    net_server: NetServer, db: psycopg.Connection[Any], admin: psycopg.Connection[Any], stub: Stub
) -> None:
    admin.execute(
        """
        create function public.refuse() returns trigger language plpgsql as
        $$ begin raise exception 'refused'; end $$;
        create trigger refuse before insert on net._http_response
            for each row execute function public.refuse()
        """
    )
    try:
        request = ask(db, "select net.http_get(%s)", stub.url("/again"))
        net_server.wait_for(lambda: len(stub.at("/again")) >= 3)
        assert ask(db, "select count(*) from net._http_response") == 0
    finally:
        admin.execute("drop function public.refuse() cascade")
    assert response(net_server, db, request)["status_code"] == 200
    assert len(stub.at("/again")) < 12


# --- settings and the worker -------------------------------------------------------------------------------


def test_expired_responses_go_while_awake(
    net_server: NetServer, settings: psycopg.Connection[Any], db: psycopg.Connection[Any], stub: Stub
) -> None:
    restart(net_server, settings)
    asleep(net_server, db, stub)
    db.execute("truncate net._http_response")
    db.execute(
        """
        insert into net._http_response (id, created)
        values (-1, now() - interval '7 hours'), (-2, now() - interval '5 hours')
        """
    )
    time.sleep(1.5)
    assert ask(db, "select count(*) from net._http_response") == 2
    db.execute("select net.wake()")
    net_server.wait_for(lambda: ask(db, "select count(*) from net._http_response") == 1)
    assert ask(db, "select id from net._http_response") == -2

    settings.execute("alter system set pg_net.ttl = '1 hour'")
    restart(net_server, settings)
    net_server.wait_for(lambda: ask(db, "select count(*) from net._http_response") == 0)


def test_invalid_ttl_stops_everything(
    net_server: NetServer, settings: psycopg.Connection[Any], db: psycopg.Connection[Any], stub: Stub
) -> None:
    settings.execute("alter system set pg_net.ttl = '6 hourz'")
    settings.execute("select net.worker_restart()")
    time.sleep(1.5)
    request = ask(db, "select net.http_get(%s)", stub.url("/late"))
    time.sleep(2.5)
    assert stub.at("/late") == []
    settings.execute("alter system reset pg_net.ttl")
    settings.execute("select net.worker_restart()")
    assert response(net_server, db, request)["status_code"] == 200


def test_batch_size_of_zero_sends_nothing(
    net_server: NetServer, settings: psycopg.Connection[Any], db: psycopg.Connection[Any], stub: Stub
) -> None:
    settings.execute("alter system set pg_net.batch_size = 0")
    restart(net_server, settings)
    request = ask(db, "select net.http_get(%s)", stub.url("/late"))
    time.sleep(2.5)
    assert stub.at("/late") == []
    settings.execute("alter system set pg_net.batch_size = 1")
    settings.execute("select net.worker_restart()")
    assert response(net_server, db, request)["status_code"] == 200


def test_batch_size_limits_a_transaction(
    net_server: NetServer, settings: psycopg.Connection[Any], db: psycopg.Connection[Any], stub: Stub
) -> None:
    settings.execute("alter system set pg_net.batch_size = 2")
    restart(net_server, settings)
    ids = [row[0] for row in db.execute("select net.http_get(%s) from generate_series(1, 5)", [stub.url("/ok")])]
    created = [response(net_server, db, request)["created"] for request in ids]
    assert created[0] == created[1] < created[2] == created[3] < created[4]


def test_anybody_may_restart_the_worker(net_server: NetServer, admin: psycopg.Connection[Any]) -> None:
    before = net_server.wait_for(lambda: worker_pid(admin))
    with net_server.connect("plain") as plain:
        assert ask(plain, "select net.worker_restart()") is True
    net_server.wait_for(lambda: worker_pid(admin) not in (None, before), seconds=5)


def test_check_worker_is_up(net_server: NetServer, db: psycopg.Connection[Any]) -> None:
    net_server.wait_for(lambda: worker_pid(db))
    db.execute("select net.check_worker_is_up()")
    # a role that sees nothing of other backends is told that there is no worker
    with (
        net_server.connect("plain") as plain,
        pytest.raises(psycopg.errors.RaiseException, match="the pg_net background worker is not up"),
    ):
        plain.execute("select net.check_worker_is_up()")


def test_collected_response(net_server: NetServer, db: psycopg.Connection[Any], stub: Stub) -> None:
    collect = "select to_jsonb(net._http_collect_response(%s, async := %s))"
    assert ask(db, collect, -5, True) == {
        "status": "ERROR", "message": "request matching request_id not found", "response": None,
    }  # fmt: skip
    request = ask(db, "select net.http_get(%s)", stub.url("/ok"))
    result = ask(db, collect, request, False)
    assert (result["status"], result["message"]) == ("SUCCESS", "ok")
    assert result["response"]["status_code"] == 200
    assert json.loads(result["response"]["body"]) == {"ok": True}
    failed = ask(db, "select net.http_get('ftp://127.0.0.1/')")
    assert ask(db, collect, failed, False)["message"] == "Unsupported protocol"
    # the old public name has lost its answer in 0.20.4
    with pytest.raises(psycopg.errors.SyntaxError, match="query has no destination for result data"):
        db.execute("select net.http_collect_response(%s)", [request])


def test_foreign_objects_in_the_queue_stop_the_worker(
    net_server: NetServer, db: psycopg.Connection[Any], stub: Stub
) -> None:
    db.execute(
        """
        insert into net.http_request_queue (method, url, headers, timeout_milliseconds)
        values ('GET', %s, '[1]', 5000)
        """,
        [stub.url("/poison")],
    )
    request = ask(db, "select net.http_get(%s)", stub.url("/late"))
    time.sleep(2.5)
    assert stub.received == []
    db.execute("delete from net.http_request_queue where headers = '[1]'")
    assert response(net_server, db, request)["status_code"] == 200


def test_crash_empties_the_tables_and_restarts_the_ids(net_server: NetServer, stub: Stub) -> None:
    with net_server.connect() as connection:
        for _ in range(3):
            request = ask(connection, "select net.http_get(%s)", stub.url("/ok"))
        response(net_server, connection, request)
    net_server.crash()
    with net_server.connect() as connection:
        assert ask(connection, "select count(*) from net._http_response") == 0
        net_server.wait_for(lambda: worker_pid(connection))
        request = ask(connection, "select net.http_get(%s)", stub.url("/ok"))
        assert request == 1
        assert response(net_server, connection, request)["status_code"] == 200


def test_stopped_worker_leaves_the_queue_to_the_next(
    net_server: NetServer, db: psycopg.Connection[Any], stub: Stub
) -> None:
    if net_server.real:
        pytest.skip("the server itself runs the real worker")
    request = ask(db, "select net.http_get(%s, timeout_milliseconds := 20000)", stub.url("/slow"))
    net_server.wait_for(lambda: stub.at("/slow"))
    started = time.monotonic()
    assert net_server.stop_worker() == 0
    assert time.monotonic() - started < 2
    assert ask(db, "select count(*) from net.http_request_queue") == 1
    with pytest.raises(psycopg.errors.RaiseException, match="the pg_net background worker is not up"):
        db.execute("select net.check_worker_is_up()")
    stub.release.set()
    net_server.start_worker()
    assert response(net_server, db, request)["status_code"] == 200
