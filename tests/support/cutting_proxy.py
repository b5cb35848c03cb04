"""A relay before PostgreSQL that counts what the server has finished, and acts or cuts the line at a chosen point."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

from autosync_db.local.cluster import HOST, Cluster
from autosync_db.secret import Secret

# ready for the next statement, or for copied rows
_READY = {b"Z", b"G"}
_IDLE = b"I"
_TAG_BYTES, _LENGTH_BYTES = 1, 4


@dataclass
class Proxy:
    """`finished` counts how often the server said that it was ready for more, over all connections.

    `durable` has the numbers of those answers after which no transaction was open: what was done stays.
    While `is_gone` every new connection is closed at once, as by a server that has died.
    """

    cluster: Cluster
    port: int
    cut_after: int | None = None
    on_cut: Callable[[], None] = lambda: None
    cuts: bool = True
    finished: int = 0
    was_cut: bool = False
    is_gone: bool = False
    durable: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self) -> Secret:
        """Return the owner's URL through the relay."""
        return url_through(self.cluster, self.port)

    def arm(self, cut_after: int | None, on_cut: Callable[[], None] = lambda: None, *, cuts: bool = True) -> None:
        """Count from zero, and cut before the answer number `cut_after` reaches the client; None: never.

        Without `cuts` the answer arrives after `on_cut`, and the line stays.
        """
        with self._lock:
            self.cut_after, self.on_cut, self.cuts = cut_after, on_cut, cuts
            self.finished, self.was_cut, self.durable = 0, False, []

    def _count(self, status: bytes) -> bool:
        """Count one answer and return whether the line is to be cut now."""
        with self._lock:
            self.finished += 1
            if status == _IDLE:
                self.durable.append(self.finished)
            if self.finished != self.cut_after:
                return False
            self.was_cut = True
            self.on_cut()
            return self.cuts


def url_through(cluster: Cluster, port: int) -> Secret:
    """Return the owner's URL by a relay at `port`, which reads along and therefore speaks no TLS."""
    direct = cluster.url().reveal().replace(f":{cluster.port}/", f":{port}/")
    return Secret(direct + ("&" if "?" in direct else "?") + "sslmode=disable&gssencmode=disable")


@contextmanager
def relay(cluster: Cluster) -> Iterator[Proxy]:
    """Run a relay for the time of the block."""
    with socket.create_server((HOST, 0)) as listening:
        proxy = Proxy(cluster, listening.getsockname()[1])
        threading.Thread(target=_accept, args=(listening, proxy), daemon=True).start()
        yield proxy
        # an accept() under way does not notice that its socket is closed
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)


def _accept(listening: socket.socket, proxy: Proxy) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            if proxy.is_gone:
                close(client)
                continue
            server = socket.create_connection((HOST, proxy.cluster.port))
            for one in (client, server):
                # an answer is several small messages; without this each waits 40 ms for the one before
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=_forward, args=(client, server), daemon=True).start()
            threading.Thread(target=_answer, args=(server, client, proxy), daemon=True).start()


def _forward(client: socket.socket, server: socket.socket) -> None:
    with suppress(OSError):
        while data := client.recv(65536):
            server.sendall(data)
    close(client, server)


def _answer(server: socket.socket, client: socket.socket, proxy: Proxy) -> None:
    with suppress(OSError), server.makefile("rb") as stream:
        while tag := stream.read(_TAG_BYTES):
            length = stream.read(_LENGTH_BYTES)
            body = stream.read(int.from_bytes(length) - _LENGTH_BYTES)
            if tag in _READY and proxy._count(body):
                break
            client.sendall(tag + length + body)
    close(client, server)


def close(*sockets: socket.socket, resets: bool = False) -> None:
    """End connections: orderly, or as a machine does that knows nothing of them."""
    for one in sockets:
        with suppress(OSError):
            if resets:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            else:
                one.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            one.close()
