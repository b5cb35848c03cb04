"""The project's functions as a process that can be killed: one in ten of their answers is bad, in one of nine ways.

What arrives, what is answered, and what becomes of each schedule goes into a journal before it is sent or after it was
committed, so that the journal never claims more than what happened.
"""

import contextlib
import hashlib
import json
import os
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

from tests.chaos.journal import Journal

WAYS = ("500", "503", "hang_up", "slow", "error_body", "404", "429", "reset", "truncated")
STATUS = {"500": 500, "503": 503, "404": 404, "429": 429}
# before these the function did nothing, as a gateway that turns a call away
TURNED_AWAY = ("503", "404", "429")
DRAINING = ("auto-sync-cron", "drain-due")
LEASE_SECONDS = 8
SLOW_SECONDS = 4.5
_CLAIM = """
select id, claim_id, claim_expires_at - make_interval(secs => %s), claim_expires_at, next_run_at, last_run_status
from public.auto_sync_claim(%s, make_interval(secs => %s))
"""
_COMPLETE = "select last_run_at, next_run_at from public.auto_sync_complete(%s, %s, null, %s)"


def chance(*parts: object) -> float:
    """Return a number from 0 to 1 that is the same for the same parts."""
    digest = hashlib.blake2b(":".join(map(str, parts)).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


@dataclass
class Function:
    """What all requests share: the journal, the seed, the way to the database, and what the test asks for just now."""

    journal: Journal
    seed: int
    database: str
    orders: Path
    _read_at: int = 0
    _orders: dict[str, Any] = field(default_factory=dict)

    def now_wanted(self) -> dict[str, Any]:
        """Return the newest orders: accepted credentials, the share of bad answers, functions that are broken."""
        changed = self.orders.stat().st_mtime_ns
        if changed != self._read_at:
            self._orders, self._read_at = json.loads(self.orders.read_text()), changed
        return self._orders

    def way(self, name: str, headers: dict[str, str]) -> str:
        """Return how a call is answered."""
        wanted = self.now_wanted()
        if name in wanted["broken"]:
            return "500"
        which = (self.seed, name, headers.get("x-autosync-tick", headers["idempotency-key"]))
        if chance(*which, headers["x-autosync-attempt"]) >= wanted["failing"]:
            return "good"
        return WAYS[int(chance(*which, "way") * len(WAYS))]

    def session(self) -> psycopg.Connection[Any]:
        """Return a session of a request's own: one that was cut off meanwhile would fail the next request."""
        return psycopg.connect(self.database, autocommit=True, prepare_threshold=None, connect_timeout=5)

    @staticmethod
    def as_service(session: psycopg.Connection[Any], query: str, values: list[Any]) -> list[tuple[Any, ...]]:
        """Run a query in a transaction of the service role, as the Data API does."""
        with session.transaction():
            session.execute("set local role service_role")
            return session.execute(query.encode(), values).fetchall()

    def drain(self, key: str, batch: int) -> int:
        """Claim schedules, work on each, and complete it; return how many were completed."""
        with contextlib.ExitStack() as stack:
            session = stack.enter_context(contextlib.closing(self.session()))
            claimed = self.as_service(session, _CLAIM, [LEASE_SECONDS, batch, LEASE_SECONDS])
            for schedule, claim, begun, ends, due, _ in claimed:
                self.journal.write(
                    "claimed", call=key, schedule=schedule, claim=claim, begun=begun.timestamp(), ends=ends.timestamp(),
                    due=due.timestamp(),
                )  # fmt: skip
            done = 0
            for schedule, claim, *_, before in claimed:
                if session.closed:
                    session = stack.enter_context(contextlib.closing(self.session()))
                # never two failures in a row, which verify would rightly name
                bad = before != "failed" and chance(self.seed, schedule, claim) < 0.03
                done += self.complete(session, schedule, claim, "failed" if bad else "success")
            return done

    def complete(self, session: psycopg.Connection[Any], schedule: Any, claim: Any, status: str) -> int:
        """Complete a claim; an answer that does not come is asked for once more."""
        for attempt in range(2):
            try:
                if attempt:
                    session.close()
                    session = self.session()
                ((ran, due),) = self.as_service(session, _COMPLETE, [schedule, status, claim])
            except psycopg.Error as error:
                if error.sqlstate in ("PT409", "PT404"):
                    self.journal.write("refused", schedule=schedule, claim=claim, why=error.sqlstate)
                    return 0
                continue
            self.journal.write(
                "completed", schedule=schedule, claim=claim, status=status, ran=ran.timestamp(),
                next=due.timestamp() if due else None,
            )  # fmt: skip
            return 1
        self.journal.write("given up", schedule=schedule, claim=claim)
        return 0

    def report(self, key: str, status: str) -> None:
        """Report what came of an accepted call."""
        self.journal.write("reports", key=key, status=status)
        try:
            with contextlib.closing(self.session()) as session:
                ((said,),) = self.as_service(session, "select public.auto_sync_report(%s, %s)", [key, status])
        except psycopg.Error as error:
            self.journal.write("report failed", key=key, why=error.sqlstate)
        else:
            self.journal.write("reported", key=key, said=said)


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    function: Function

    def _handle(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.rfile.read(int(headers.get("content-length") or 0))
        name = self.path.rpartition("/")[2]
        credential = self._credential(name, headers)
        if "idempotency-key" not in headers:
            # not a call of the database's: the command line tries a key
            known = credential in self.function.now_wanted()["accepted"].get(name, [None])
            self._send(200 if known else 401, {"ok": known, "call": ""})
            return
        key, attempt = headers["idempotency-key"], int(headers["x-autosync-attempt"])
        shared = {"key": key, "attempt": attempt, "function": name}
        self.function.journal.write("received", **shared, job=headers["x-autosync-job"], method=self.command)
        if credential not in self.function.now_wanted()["accepted"].get(name, [None]):
            self.function.journal.write("answers", **shared, way="401", status=401)
            self._send(401, {"ok": False, "error": "the key is not accepted", "call": key, "attempt": attempt})
            return
        way = self.function.way(name, headers)
        done = 0
        if name in DRAINING and way not in TURNED_AWAY:
            try:
                done = self.function.drain(key, int(headers["x-autosync-batch-size"]))
            except (psycopg.Error, OSError):
                way = "500"  # the database is away
        self._answer(name, way, shared, done)

    do_GET = do_POST = _handle  # noqa: N815 - names that the base class looks for

    def _credential(self, name: str, headers: dict[str, str]) -> str | None:
        shown = headers.get("x-partner") if name == "partner" else headers.get("apikey")
        return hashlib.sha256(shown.encode()).hexdigest() if shown else None

    def _answer(self, name: str, way: str, shared: dict[str, Any], done: int) -> None:
        key, attempt = shared["key"], shared["attempt"]
        if way == "slow":
            time.sleep(SLOW_SECONDS)
        if name == "skipping":
            time.sleep(1.2)
        status = STATUS.get(way, 202 if name == "reporting" and way == "good" else 200)
        self.function.journal.write("answers", **shared, way=way, status=status)
        body: dict[str, Any] = {
            "ok": way in ("good", "slow", "truncated"),
            "call": key,
            "attempt": attempt,
            "done": done,
        }
        if not body["ok"]:
            body["error"] = f"bad in the way {way}"
        if way in ("hang_up", "reset"):
            self.close_connection = True
            with contextlib.suppress(OSError):
                if way == "reset":
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    os.close(self.connection.detach())
                else:
                    self.connection.shutdown(socket.SHUT_RDWR)
            return
        self._send(status, body, missing=20 if way == "truncated" else 0, retry=way == "429")
        if status == 202:
            time.sleep(0.2)
            self.function.report(key, "success")

    def _send(self, status: int, body: dict[str, Any], *, missing: int = 0, retry: bool = False) -> None:
        payload = json.dumps(body).encode()
        with contextlib.suppress(OSError):
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(payload) + missing))
            self.send_header("sb-request-id", body["call"])
            if retry:
                self.send_header("retry-after", "1")
            self.end_headers()
            self.wfile.write(payload)
            self.wfile.flush()
        if missing:
            self.close_connection = True

    def log_message(self, format: str, *arguments: object) -> None:
        """Say nothing."""


def main() -> None:
    """Serve until killed; the arguments are the port, the seed, and the folder of orders and journal."""
    port, seed, folder = int(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])
    Handler.function = Function(
        Journal(folder / "functions.jsonl"), seed, os.environ["CHAOS_DATABASE"], folder / "orders.json"
    )
    ThreadingHTTPServer.request_queue_size = 128
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    threading.Thread(target=_end_with_parent, daemon=True).start()
    server.serve_forever()


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    main()
