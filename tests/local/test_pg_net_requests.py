"""What pg_net 0.20.4 sends and what it stores of the answer; the same tests judge the real one and the stand-in."""

from __future__ import annotations

import json
import re
import socket
import threading
from typing import Any

import psycopg
import pytest

from tests.local.conftest import Connection, NetServer, ask
from tests.support.http_stub import Stub


def insert(db: Connection, method: str, url: str, headers: str | None, body: bytes) -> int:
    """Put a row into the queue past the functions, and wake the worker."""
    request = ask(
        db,
        "insert into net.http_request_queue (method, url, headers, body, timeout_milliseconds)"
        " values (%s, %s, %s, %s, 5000) returning id",
        method, url, headers, body,
    )  # fmt: skip
    db.execute("select net.wake()")
    return int(request)


def test_a_get_and_its_response(net_server: NetServer, db: Connection, stub: Stub) -> None:
    request = ask(
        db,
        'select net.http_get(%s, \'{"q": "a b&\\u00fc/~", "n": null}\', \'{"X-One": "1"}\')',
        f"{stub.url}/echo?p=1",
    )
    row = net_server.response(db, request)
    assert (row["status_code"], row["content_type"], row["content"]) == (200, "application/json", stub.body.encode())  # type: ignore[union-attr]
    assert (row["timed_out"], row["error_msg"]) == (False, None)
    assert row["headers"]["content-length"] == str(len(stub.body))
    [sent] = stub.requests
    # libcurl's versions differ in the case of the hexadecimal digits
    assert (sent.method, sent.path.upper(), sent.body) == ("GET", "/ECHO?P=1&Q=A%20B%26%C3%BC%2F~", b"")
    assert sent.headers == {
        "host": stub.url.removeprefix("http://"), "accept": "*/*", "x-one": "1", "user-agent": "pg_net/0.20.4",
    }  # fmt: skip
    assert ask(db, "select count(*) from net.http_request_queue") == 0


def test_the_content_type_of_a_post(net_server: NetServer, db: Connection, stub: Stub) -> None:
    for headers, sent_type in (
        ('{"Content-Type": "application/json"}', "application/json"),
        ('{"content-type": "application/json"}', "application/json"),
        ('{"X-One": "1"}', "application/json"),
        ("{}", "application/json"),
        ('{"Content-Type": null}', "application/json"),
        (None, "application/x-www-form-urlencoded"),
    ):
        request = ask(
            db, 'select net.http_post(%s, \'{"a": [1, "\\u00fc"]}\', headers := %s::jsonb)', stub.url, headers
        )
        assert net_server.response(db, request)["status_code"] == 200
        sent = stub.requests[-1]
        assert (sent.method, sent.body) == ("POST", '{"a": [1, "ü"]}'.encode())
        assert sent.headers["content-type"] == sent_type, headers
        assert sent.headers["user-agent"] == "pg_net/0.20.4"


def test_methods_and_bodies(net_server: NetServer, db: Connection, stub: Stub) -> None:
    net_server.response(db, ask(db, "select net.http_post(%s, null)", stub.url))
    assert stub.requests[-1].headers["content-length"] == "0"
    net_server.response(db, ask(db, "select net.http_delete(%s)", stub.url))
    net_server.response(db, ask(db, "select net.http_delete(%s, body := '{\"a\": 1}')", stub.url))
    # rows that other tools insert; a body is a string of C
    net_server.response(db, insert(db, "pOsT", stub.url, "{}", b"a\0b"))
    net_server.response(db, insert(db, "GET", stub.url, None, b"abc"))
    assert [(sent.method, sent.body) for sent in stub.requests] == [
        ("POST", b""), ("DELETE", b""), ("DELETE", b'{"a": 1}'), ("POST", b"a"), ("GET", b"abc"),
    ]  # fmt: skip


def test_headers_that_are_null_are_left_out_and_a_newline_cuts_the_request(
    net_server: NetServer, db: Connection, stub: Stub
) -> None:
    post = "select net.http_post(%s, '{\"a\": 1}', headers := jsonb_build_object({}))"
    request = ask(db, post.replace("{}", "'Authorization', 'Bearer ' || null, 'X-One', 1"), stub.url)
    assert net_server.response(db, request)["status_code"] == 200
    assert "authorization" not in stub.requests[0].headers
    assert stub.requests[0].headers["x-one"] == "1"

    request = ask(db, post.replace("{}", "'A', E'abc\\n', 'X-After', 'lost'"), stub.url)
    assert net_server.response(db, request)["status_code"] == 200
    assert stub.requests[1].headers["a"] == "abc"
    assert "x-after" not in stub.requests[1].headers
    assert stub.requests[1].body == b""


def test_every_status_is_a_response(net_server: NetServer, db: Connection, stub: Stub) -> None:
    codes = [401, 404, 429, 500, 504, 546]
    stub.judge = lambda request: int(request.path[1:])
    stub.headers = {"sb-error-code": "X"}
    sent = db.execute("select net.http_post(%s || code) from unnest(%s) as code", [f"{stub.url}/", codes]).fetchall()
    for (request,), code in zip(sent, codes, strict=True):
        row = net_server.response(db, request)
        assert (row["status_code"], row["error_msg"], row["timed_out"]) == (code, None, False)
        assert row["headers"]["sb-error-code"] == "X"
        assert row["content"] == stub.body.encode()  # type: ignore[union-attr]


def test_what_is_stored_of_unusual_answers(net_server: NetServer, db: Connection, stub: Stub) -> None:
    def answer(status: int, body: bytes, **headers: str) -> dict[str, Any]:
        stub.answer(status, body)
        stub.headers = {name.replace("_", "-"): value for name, value in headers.items()}
        return net_server.response(db, ask(db, "select net.http_get(%s)", stub.url))

    assert answer(204, b"")["content"] is None
    assert answer(200, b"before\0after")["content"] == b"before"
    twice = answer(200, b"x", X_Two="first\r\nX-Two:   second  ", X_None="")["headers"]
    # libcurl before 8 left the line end in an empty value
    assert (twice["X-Two"], twice["X-None"].strip()) == ("second", "")
    unchecked = answer(200, b"a\xffz")
    assert unchecked["content"] == b"a\xffz"
    with pytest.raises(UnicodeDecodeError):
        db.execute("select content from net._http_response where id = %s", [unchecked["id"]]).fetchone()


def test_a_redirect_turns_a_post_into_a_get(net_server: NetServer, db: Connection, stub: Stub) -> None:
    stub.redirects = {"/from": "/to"}
    request = ask(
        db,
        """select net.http_post(%s, '{"a": 1}', headers := '{"Authorization": "Bearer x"}')""",
        f"{stub.url}/from",
    )
    row = net_server.response(db, request)
    assert [(sent.method, sent.path, sent.body) for sent in stub.requests] == [
        ("POST", "/from", b'{"a": 1}'),
        ("GET", "/to", b""),
    ]
    assert stub.requests[1].headers["authorization"] == "Bearer x"
    assert (row["status_code"], row["content"]) == (200, stub.body.encode())  # type: ignore[union-attr]
    # the type is that of the last response, the headers are those of the first
    assert row["content_type"] == "application/json"
    assert row["headers"]["location"] == "/to"


def test_a_timeout_says_where_the_time_went(net_server: NetServer, db: Connection, stub: Stub) -> None:
    stub.delay_seconds = 20
    with socket.create_server(("127.0.0.1", 0)) as silent:
        urls = [stub.url, f"https://127.0.0.1:{silent.getsockname()[1]}/"]
        sent = db.execute(
            "select net.http_get(url, timeout_milliseconds := 300) from unnest(%s::text[]) as url", [urls]
        )
        slow, handshake = (net_server.response(db, request) for (request,) in sent.fetchall())
    assert (slow["status_code"], slow["headers"], slow["content"], slow["timed_out"]) == (None, None, None, True)
    assert handshake["timed_out"] is True
    phases = []
    for row in (slow, handshake):
        match = re.fullmatch(
            r"Timeout of 300 ms reached\. Total time: (\d+\.\d{6}) ms \(DNS time: (\d+\.\d{6}) ms, "
            r"TCP/SSL handshake time: (\d+\.\d{6}) ms, HTTP Request/Response time: (\d+\.\d{6}) ms\)",
            row["error_msg"],
        )
        assert match is not None, row["error_msg"]
        phases.append([float(value) for value in match.groups()])
    (total, dns, tcp, http), (_, _, stalled, unsent) = phases
    assert total >= 295
    assert http > dns + tcp
    assert stalled > 250
    assert unsent == 0


def test_a_transport_error_has_libcurls_text(net_server: NetServer, db: Connection, stub: Stub) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rude:

        def hang_up() -> None:
            caller, _ = rude.accept()
            caller.recv(1000)
            caller.close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        # libcurl has reworded some of its texts over the years
        texts = {
            "http://127.0.0.1:1/x": {"Couldn't connect to server", "Could not connect to server"},
            "http://nosuchhost.invalid/x": {"Couldn't resolve host name", "Could not resolve hostname"},
            "ftp://127.0.0.1/x": {"Unsupported protocol"},
            stub.url.replace("http:", "https:"): {"SSL connect error"},
            f"http://127.0.0.1:{rude.getsockname()[1]}/": {"Server returned nothing (no headers, no data)"},
        }
        sent = db.execute("select url, net.http_get(url) from unnest(%s::text[]) as url", [list(texts)]).fetchall()
        for url, request in sent:
            row = net_server.response(db, request)
            assert row["error_msg"] in texts[url]
            assert (row["timed_out"], row["status_code"]) == (False, None)
        thread.join()


def test_what_libcurl_takes_for_no_url_fails_in_the_statement_or_the_worker(
    net_server: NetServer, db: Connection
) -> None:
    for url in ("http://a*b/", "http://h:99999/", "http://[::1/"):
        if net_server.real:
            with pytest.raises(psycopg.errors.InternalError_, match="invalid URL"):
                db.execute("select net.http_get(%s)", [url])
        else:
            row = net_server.response(db, ask(db, "select net.http_get(%s)", url))
            assert row["error_msg"] == "URL using bad/illegal format or missing URL"


def test_json_of_any_depth_arrives_as_it_was(net_server: NetServer, db: Connection, stub: Stub) -> None:
    body = {"a": [1, {"b": None}], "ü": "€"}
    request = ask(db, "select net.http_post(%s, %s)", stub.url, json.dumps(body))
    net_server.response(db, request)
    assert json.loads(stub.requests[0].body) == body
