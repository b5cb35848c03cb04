"""HTTP requests of the pg_net stand-in, many at once on libcurl, and what came back for each."""

from __future__ import annotations

import os
import selectors
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pycurl

VERSION: Final = "0.20.4"

_LONGEST_WAIT: Final = 1.0  # seconds
_TLS_BUNDLES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
)


class StoppedError(Exception):
    """The worker is to end."""


@dataclass(frozen=True, slots=True)
class Request:
    """One row taken from the queue; `headers` are complete lines without a line end."""

    id: int
    method: str
    url: bytes
    timeout_milliseconds: int
    headers: tuple[bytes, ...]
    body: bytes | None


@dataclass(slots=True)
class Exchange:
    """A request on its way together with what has come back for it."""

    request: Request
    handle: Any = None
    body: bytearray = field(default_factory=bytearray)
    responses: list[list[tuple[bytes, bytes]]] = field(default_factory=list)
    _in_head: bool = False
    _informational: bool = False

    def receive_header(self, line: bytes) -> None:
        """Collect one header line; informational responses and trailers are left out."""
        text = line.rstrip(b"\r\n")
        if not self._in_head and text.startswith(b"HTTP/"):
            status = text.split(None, 2)[1:2]
            self._in_head = True
            self._informational = bool(status) and status[0].startswith(b"1")
            if not self._informational:
                self.responses.append([])
        elif not self._in_head or self._informational:
            self._in_head = self._in_head and text != b""
        elif not text:
            self._in_head = False
        elif text[:1] in (b" ", b"\t") and self.responses[-1]:
            name, value = self.responses[-1][-1]
            self.responses[-1][-1] = (name, value + b" " + text.strip(b" \t"))
        else:
            name, colon, value = text.partition(b":")
            if colon:
                self.responses[-1].append((name.strip(b" \t"), value.strip(b" \t")))

    @property
    def first_headers(self) -> list[tuple[bytes, bytes]]:
        """Headers of the first response: for a redirected request pg_net stores those of the redirect."""
        return self.responses[0] if self.responses else []

    @property
    def content_type(self) -> bytes | None:
        """Content type of the last response, or None when it named none."""
        last = self.responses[-1] if self.responses else []
        return next((value for name, value in last if name.lower() == b"content-type"), None)


class Transfers:
    """Runs many HTTP exchanges at once on one libcurl multi handle; connections are kept from batch to batch."""

    def __init__(self, interrupt: socket.socket) -> None:
        self._interrupt = interrupt
        self._deadline: float | None = None
        self._selector = selectors.DefaultSelector()
        self._selector.register(interrupt, selectors.EVENT_READ)
        self._multi: Any = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_SOCKETFUNCTION, self._watch)
        self._multi.setopt(pycurl.M_TIMERFUNCTION, self._set_timer)
        self._open: dict[Any, Exchange] = {}

    def close(self) -> None:
        """Abandon whatever is still open."""
        for handle in list(self._open):
            self._multi.remove_handle(handle)
            handle.close()
        self._open.clear()
        self._multi.close()
        self._selector.close()

    def add(self, request: Request) -> None:
        """Start one request; raises `pycurl.error` for what libcurl refuses, such as a negative timeout."""
        exchange = Exchange(request)
        exchange.handle = _prepare(exchange)
        self._open[exchange.handle] = exchange
        self._multi.add_handle(exchange.handle)

    def finish(self) -> Iterator[tuple[Exchange, int]]:
        """Yield every exchange as it ends, with libcurl's result code; raises `StoppedError` when it is interrupted."""
        while self._open:
            self._step()
            while True:
                left, succeeded, failed = self._multi.info_read()
                ended = [(handle, pycurl.E_OK) for handle in succeeded]
                ended += [(handle, code) for handle, code, _ in failed]
                for handle, code in ended:
                    exchange = self._open.pop(handle)
                    try:
                        yield exchange, code
                    finally:
                        self._multi.remove_handle(handle)
                        handle.close()
                if not left:
                    break

    def _step(self) -> None:
        wait = _LONGEST_WAIT
        if self._deadline is not None:
            wait = min(wait, max(0.0, self._deadline - time.monotonic()))
        for key, events in self._selector.select(wait):
            if key.fileobj is self._interrupt:
                raise StoppedError
            action = pycurl.CSELECT_IN if events & selectors.EVENT_READ else 0
            action |= pycurl.CSELECT_OUT if events & selectors.EVENT_WRITE else 0
            self._multi.socket_action(key.fd, action)
        if self._deadline is not None and self._deadline <= time.monotonic():
            self._deadline = None
            self._multi.socket_action(pycurl.SOCKET_TIMEOUT, 0)

    def _watch(self, what: int, descriptor: int, _multi: object, _data: object) -> None:
        known = descriptor in self._selector.get_map()
        if what == pycurl.POLL_REMOVE:
            if known:
                self._selector.unregister(descriptor)
            return
        events = selectors.EVENT_READ if what in (pycurl.POLL_IN, pycurl.POLL_INOUT) else 0
        events |= selectors.EVENT_WRITE if what in (pycurl.POLL_OUT, pycurl.POLL_INOUT) else 0
        if known:
            self._selector.modify(descriptor, events)
        else:
            self._selector.register(descriptor, events)

    def _set_timer(self, milliseconds: int) -> None:
        self._deadline = None if milliseconds < 0 else time.monotonic() + milliseconds / 1000


def _prepare(exchange: Exchange) -> Any:
    request = exchange.request
    handle: Any = pycurl.Curl()
    handle.setopt(pycurl.NOSIGNAL, 1)
    # pg_net hands libcurl C strings, which end at the first NUL
    body = None if request.body is None else request.body.split(b"\0", 1)[0]

    if request.method == "post" and body is None:
        handle.setopt(pycurl.POST, 1)
        handle.setopt(pycurl.POSTFIELDSIZE, 0)
    if body is not None:
        handle.setopt(pycurl.POSTFIELDS, body)
    if request.method == "delete" or (request.method == "get" and body is not None):
        handle.setopt(pycurl.CUSTOMREQUEST, request.method.upper())

    handle.setopt(pycurl.URL, request.url)
    handle.setopt(pycurl.HTTPHEADER, [*request.headers, f"User-Agent: pg_net/{VERSION}".encode()])
    handle.setopt(pycurl.TIMEOUT_MS, request.timeout_milliseconds)
    handle.setopt(pycurl.FOLLOWLOCATION, 1)
    handle.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    handle.setopt(pycurl.WRITEFUNCTION, exchange.body.extend)
    handle.setopt(pycurl.HEADERFUNCTION, exchange.receive_header)
    # the stack's own servers are on loopback, where a developer's proxy cannot reach them
    handle.setopt(pycurl.NOPROXY, ",".join(filter(None, [_no_proxy(), "localhost,127.0.0.1,::1"])))
    bundle = _tls_bundle()
    if bundle is not None:
        handle.setopt(pycurl.CAINFO, bundle)
    return handle


def _no_proxy() -> str:
    return os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""


def _tls_bundle() -> str | None:
    # pycurl's wheels carry a libcurl that knows no certificate store
    named = ssl.get_default_verify_paths().cafile
    return next((path for path in (named, *_TLS_BUNDLES) if path and Path(path).is_file()), None)
