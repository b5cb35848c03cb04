"""A steerable HTTP server on loopback that stands where a project's gateway and functions stand."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What a caller sent."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Stub:
    """The server's address, what it answers, and what it was sent; `judge` chooses the status of each answer.

    `release` ends the delay of the answers that are under way.
    """

    url: str = ""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: str | bytes = '{"ok":true}'
    redirects: dict[str, str] = field(default_factory=dict)
    redirect_status: int = 301
    delay_seconds: float = 0
    requests: list[Request] = field(default_factory=list)
    judge: Callable[[Request], int] | None = None
    release: threading.Event = field(default_factory=threading.Event)

    def answer(
        self, status: int = 200, body: object = None, error_code: str | None = None, delay_seconds: float = 0
    ) -> None:
        """Answer every further call so; `error_code` is the platform's sb-error-code header."""
        self.status = status
        self.body = (
            body if isinstance(body, str | bytes) else json.dumps({"ok": status < 400} if body is None else body)
        )
        self.redirects = {}
        self.redirect_status = 301
        self.headers = {"sb-error-code": error_code} if error_code else {}
        self.delay_seconds = delay_seconds


@contextmanager
def serve() -> Iterator[Stub]:
    """Run a stub for the time of the block."""
    stub = Stub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            length = int(self.headers.get("content-length") or 0)
            request = Request(
                self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, self.rfile.read(length)
            )
            stub.requests.append(request)
            stub.release.wait(stub.delay_seconds)
            payload = stub.body.encode() if isinstance(stub.body, str) else stub.body
            try:
                if self.path in stub.redirects:
                    self.send_response(stub.redirect_status)
                    self.send_header("location", stub.redirects[self.path])
                    self.send_header("content-length", "0")
                    self.end_headers()
                    return
                self.send_response(stub.judge(request) if stub.judge else stub.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(payload)))
                for name, value in stub.headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(payload)
            except OSError:
                pass  # the caller gave up waiting

        do_GET = do_POST = do_DELETE = _handle  # noqa: N815 - names that the base class looks for

        def log_message(self, format: str, *arguments: object) -> None:
            """Say nothing."""

    with serving(Handler, stub.release) as stub.url:
        yield stub


@contextmanager
def serving(handler: type[BaseHTTPRequestHandler], release: threading.Event) -> Iterator[str]:
    """Serve on loopback for the time of the block, and yield the address; `release` is set when it ends."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=_accept, args=(server,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        release.set()
        # serve_forever() would notice the end of a block only every half second
        server.socket.shutdown(socket.SHUT_RDWR)
        thread.join()
        server.server_close()


def _accept(server: ThreadingHTTPServer) -> None:
    """Serve until the listening socket is shut down."""
    with suppress(OSError):
        while True:
            server.process_request(*server.get_request())
