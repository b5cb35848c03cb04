"""A relay before PostgreSQL whose line goes bad at a chosen byte, in either direction, in the ways that lines do."""

import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from autosync_db.local.cluster import HOST, Cluster
from autosync_db.secret import Secret
from tests.support.cutting_proxy import close, url_through

Kind = Literal["cut", "reset", "stall", "half-open", "slow", "mute", "commit stalls", "commit is cut"]
# these hit a byte; the others a connection, or an answer
OF_A_BYTE: tuple[Kind, ...] = ("cut", "reset", "stall", "half-open", "slow")
Side = Literal["client", "server"]
_COMMIT = (b"COMMIT\0", b"commit\0")


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to the line when so many bytes have come from one side; `lasts`: to later connections, too.

    `cut`, `reset`: it ends, orderly or not. `stall`: nothing more is carried. `half-open`: the server's end is closed,
    and the client never learns of it. `slow`: from there on a few bytes at a time. `mute`: connections are accepted,
    and that is all. `commit …`: the commit number `at` reaches the server, and its answer does not come back.
    """

    kind: Kind
    side: Side = "server"
    at: int = 1
    lasts: bool = False

    def __str__(self) -> str:
        return f"{self.kind} at {self.at} from the {self.side}{', for good' if self.lasts else ''}"


def at_random(choose: random.Random, kind: Kind, carried: dict[Side, int], commits: int) -> Fault:
    """Return a fault at a place of a run in which so many bytes were carried and so many commits were made."""
    side: Side = choose.choice(("client", "server"))
    place = 1 if kind == "mute" else choose.randint(1, max(1, commits if kind.startswith("commit") else carried[side]))
    return Fault(kind, side, place, lasts=kind != "slow" and choose.random() < 0.5)


@dataclass
class Line:
    """The relay: what it carried since `arm`, and whether the fault came."""

    cluster: Cluster
    port: int
    fault: Fault | None = None
    carried: dict[Side, int] = field(default_factory=lambda: {"client": 0, "server": 0})
    commits: int = 0
    connections: int = 0
    has_failed: bool = False
    _open: list[socket.socket] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def url(self) -> Secret:
        """Return the owner's URL through the relay."""
        return url_through(self.cluster, self.port)

    def arm(self, fault: Fault | None, cluster: Cluster | None = None) -> None:
        """Begin to count again, before this cluster or another, with a fault to come or none."""
        self.end()
        with self._lock:
            self.cluster = cluster or self.cluster
            self.fault, self.has_failed = fault, False
            self.carried, self.commits, self.connections = {"client": 0, "server": 0}, 0, 0

    def end(self) -> None:
        """End every connection."""
        with self._lock:
            ending, self._open = self._open, []
        for one in ending:
            close(one)

    def _take(self, side: Side, data: bytes) -> int | None:
        """Count what came from a side; return how much of it is carried before the fault comes, None for all."""
        with self._lock:
            before = self.carried[side]
            self.carried[side] += len(data)
            made = sum(data.count(word) for word in _COMMIT) if side == "client" else 0
            self.commits += made
            fault = self.fault
            if fault is None or self.has_failed:
                return None
            if fault.kind.startswith("commit"):
                is_hit = made > 0 and self.commits >= fault.at
                self.has_failed = is_hit
                return len(data) if is_hit else None
            if fault.side == side and self.carried[side] >= fault.at:
                self.has_failed = True
                return fault.at - before
            return None


@contextmanager
def line(cluster: Cluster) -> Iterator[Line]:
    """Run a relay for the time of the block."""
    with socket.create_server((HOST, 0), backlog=64) as listening:
        relay = Line(cluster, listening.getsockname()[1])
        threading.Thread(target=_accept, args=(listening, relay), daemon=True).start()
        yield relay
        with suppress(OSError):
            listening.shutdown(socket.SHUT_RDWR)
        relay.end()


def _accept(listening: socket.socket, relay: Line) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            relay.connections += 1
            fault = relay.fault
            relay._open.append(client)
            is_first = not relay.has_failed
            if fault and fault.kind == "mute" and (is_first or fault.lasts):
                relay.has_failed = True
                continue
            if fault and relay.has_failed and fault.lasts and fault.kind != "slow":
                if fault.kind in {"cut", "reset", "commit is cut"}:
                    close(client, resets=fault.kind == "reset")
                continue  # of a silent line nothing more is heard
            server = socket.create_connection((HOST, relay.cluster.port))
            relay._open.append(server)
            for one in (client, server):
                one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            state = _State(client, server)
            for side in ("client", "server"):
                threading.Thread(target=_carry, args=(relay, state, side), daemon=True).start()


@dataclass
class _State:
    """One connection: whether it is silent, or slow."""

    client: socket.socket
    server: socket.socket
    is_silent: bool = False
    is_slow: bool = False


def _carry(relay: Line, state: _State, side: Side) -> None:
    source, target = (state.client, state.server) if side == "client" else (state.server, state.client)
    with suppress(OSError):
        while data := source.recv(65536):
            if state.is_silent:
                continue
            share = relay._take(side, data)
            if share is None:
                _send(target, data, is_slow=state.is_slow)
                continue
            kind = relay.fault.kind if relay.fault else "cut"
            # first of all nothing is carried the other way
            state.is_silent = kind in {"stall", "half-open", "commit stalls", "commit is cut"}
            _send(target, data[:share])
            if kind == "slow":
                state.is_slow = True
                _send(target, data[share:], is_slow=True)
            elif kind == "half-open":
                close(state.server)
                return
            elif kind == "commit is cut":
                # the server has the commit; its answer has nowhere to go
                close(state.client)
                time.sleep(0.2)
                break
            elif kind in {"cut", "reset"}:
                close(state.client, resets=kind == "reset")
                break
        if state.is_silent and side == "server":
            return  # the server has given up: a line that is dead does not carry that
    close(state.client, state.server)


def _send(target: socket.socket, data: bytes, *, is_slow: bool = False) -> None:
    if not is_slow:
        target.sendall(data)
        return
    pieces = 20  # however long it is, so that a run takes a bounded time longer
    size = max(1, -(-len(data) // pieces))
    for begin in range(0, len(data), size):
        target.sendall(data[begin : begin + size])
        time.sleep(0.001)
