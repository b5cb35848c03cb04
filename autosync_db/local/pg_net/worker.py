"""The worker of the pg_net stand-in: send the requests in `net.http_request_queue`, store the responses.

Run it as `python -m autosync_db.local.pg_net.worker`. The connection comes from libpq's environment
variables (`PGHOST`, `PGPORT`, `PGUSER`, `PGDATABASE`, `PGPASSFILE`), so that nothing of it shows in a process
list. Any role that may log in will do: the stand-in grants its tables to everyone, as pg_net does.

It runs until SIGTERM or SIGINT and then exits 0. A lost connection, a batch that cannot be stored and a
setting that makes no sense all end the same way: the open transaction is rolled back and the worker connects
again a second later, which sends the rolled-back batch once more.
"""

from __future__ import annotations

import logging
import select
import signal
import socket
import sys
from contextlib import suppress
from typing import Any, Final

import psycopg
import pycurl

from autosync_db.local.pg_net.transfers import VERSION, Exchange, Request, StoppedError, Transfers

APPLICATION_NAME: Final = f"pg_net {VERSION} (stand-in)"

_PAUSE: Final = 1.0  # seconds: between batches, and before connecting again
_DEFAULT_TTL: Final = "6 hours"
_DEFAULT_BATCH_SIZE: Final = 200
_MAX_BATCH_SIZE: Final = 32767
_TIMEOUT_MESSAGE_LIMIT: Final = 255
_WAKE_CHANNEL: Final = "pg_net_wake"
_RESTART_CHANNEL: Final = "pg_net_restart"

_SETTINGS: Final = """
    select
        pg_catalog.current_setting('pg_net.ttl', true),
        pg_catalog.current_setting('pg_net.batch_size', true)
"""
_LOCK: Final = "lock table net.http_request_queue, net._http_response in access share mode nowait"
_EXPIRE: Final = """
    delete from net._http_response
    where ctid = any (array(
        select response.ctid
        from net._http_response as response
        where response.created < pg_catalog.now() - %s::pg_catalog.interval
        order by response.created
        limit %s
    ))
"""
_TAKE: Final = """
    delete from net.http_request_queue as request
    where request.id in (select queued.id from net.http_request_queue as queued order by queued.id limit %s)
    returning
        request.id,
        pg_catalog.lower(request.method),
        pg_catalog.convert_to(request.url, 'UTF8'),
        request.timeout_milliseconds,
        array(
            select pg_catalog.convert_to(header.name || ': ' || header.value, 'UTF8')
            from pg_catalog.jsonb_each_text(request.headers) as header (name, value)
            where header.value is not null
        ),
        request.body
"""
_STORE_RESPONSE: Final = """
    insert into net._http_response (id, status_code, content_type, headers, content, timed_out)
    values (
        %s,
        %s,
        net._stand_in_text(%s),
        pg_catalog.jsonb_object(
            array(
                select net._stand_in_text(header.name)
                from pg_catalog.unnest(%s::pg_catalog.bytea[]) with ordinality as header (name, position)
                order by header.position
            ),
            array(
                select net._stand_in_text(header.value)
                from pg_catalog.unnest(%s::pg_catalog.bytea[]) with ordinality as header (value, position)
                order by header.position
            )
        ),
        net._stand_in_text(%s),
        false
    )
"""
_STORE_FAILURE: Final = """
    insert into net._http_response (id, timed_out, error_msg) values (%s, %s, %s)
"""

_log = logging.getLogger("pg_net stand-in")


class RestartRequestedError(Exception):
    """Somebody called `net.worker_restart()`."""


class Worker:
    """Serves one database until it is stopped; `conninfo` as libpq takes it, beside its variables."""

    def __init__(self, conninfo: str = "") -> None:
        self._conninfo = conninfo
        self._interrupt, self._interrupter = socket.socketpair()
        self._connection: psycopg.Connection[Any] | None = None
        self._stopping = False
        self._wake = True
        self._restart = False
        self._unreachable = False
        self._last_complaint: str | None = None

    def run(self) -> None:
        """Serve until stop(), connecting again a second after every failure."""
        while not self._stopping:
            try:
                self._serve()
            except RestartRequestedError:
                _log.info("restarting")
                continue
            except StoppedError:
                break
            except (psycopg.Error, pycurl.error) as error:
                if self._stopping:
                    break
                self._complain(_describe(error))
            select.select([self._interrupt], [], [], _PAUSE)
        _log.info("stopped")

    def stop(self) -> None:
        """Let run() return soon, whatever it waits for; for signal handlers and other threads."""
        self._stopping = True
        self._interrupter.send(b"x")
        # run(), in another thread, forgets it when it ends
        connection = self._connection
        if connection is not None:
            with suppress(psycopg.Error):
                connection.cancel_safe(timeout=1.0)

    def _complain(self, complaint: str) -> None:
        # a server that is down for an hour deserves one line, not 3600
        if complaint != self._last_complaint:
            _log.warning("%s; trying again every second", complaint)
            self._last_complaint = complaint

    def _serve(self) -> None:
        try:
            connection = _connect(self._conninfo)
        except psycopg.OperationalError:
            self._unreachable = True
            raise
        transfers = Transfers(self._interrupt)
        self._connection = connection
        try:
            connection.add_notify_handler(self._note)
            connection.execute(f"listen {_WAKE_CHANNEL}")
            connection.execute(f"listen {_RESTART_CHANNEL}")
            # only now, because net.wait_until_running() looks for this name
            connection.execute("select pg_catalog.set_config('application_name', %s, false)", [APPLICATION_NAME])
            if self._unreachable:
                self._unreachable, self._last_complaint = False, None
            if self._last_complaint is None:
                _log.info("connected to database %s as %s", connection.info.dbname, connection.info.user)
            # requests may have been left by an earlier connection
            self._wake, self._restart = True, False
            while True:
                if not self._wake:
                    self._wait(connection, None)
                    continue
                self._wake = False
                while self._run_batch(connection, transfers):
                    self._wait(connection, _PAUSE)
        finally:
            self._connection = None
            connection.close()
            transfers.close()

    def _note(self, notification: psycopg.Notify) -> None:
        if notification.channel == _RESTART_CHANNEL:
            self._restart = True
        else:
            self._wake = True

    def _wait(self, connection: psycopg.Connection[Any], seconds: float | None) -> None:
        """Return after a notification or after `seconds`; raises `RestartRequestedError`."""
        if not self._wake and not self._restart:
            ready = select.select([connection.fileno(), self._interrupt.fileno()], [], [], seconds)[0]
            if self._interrupt.fileno() in ready:
                raise StoppedError
            connection.pgconn.consume_input()
            while (raw := connection.pgconn.notifies()) is not None:
                self._note(psycopg.Notify(raw.relname.decode(), "", raw.be_pid))
        if self._restart:
            raise RestartRequestedError

    def _run_batch(self, connection: psycopg.Connection[Any], transfers: Transfers) -> bool:
        """Run one batch in one transaction; return whether it found anything to do."""
        connection.execute("begin")
        try:
            connection.execute(_LOCK)
        except (psycopg.errors.LockNotAvailable, psycopg.errors.InvalidSchemaName) as error:
            connection.execute("rollback")
            _log.info("asleep until the next wake: %s", _describe(error))
            return False
        except psycopg.errors.UndefinedTable as error:
            connection.execute("rollback")
            _log.warning("asleep until the next wake: schema net lacks the tables of pg_net (%s)", error.sqlstate)
            return False

        ttl, batch_size = _read_settings(connection)
        expired = connection.execute(_EXPIRE, [ttl, batch_size]).rowcount
        cursor = connection.cursor(binary=True)
        requests = sorted(
            (
                Request(id_, method, url, timeout, tuple(headers), body)
                for id_, method, url, timeout, headers, body in cursor.execute(_TAKE, [batch_size]).fetchall()
            ),
            key=lambda request: request.id,
        )
        for request in requests:
            transfers.add(request)
        for exchange, code in transfers.finish():
            _store(connection, exchange, code)
        connection.execute("commit")

        self._last_complaint = None
        if requests or expired:
            _log.info("sent %d, removed %d expired", len(requests), expired)
        return bool(requests or expired)


def _connect(conninfo: str) -> psycopg.Connection[Any]:
    return psycopg.connect(
        conninfo,
        autocommit=True,
        connect_timeout=10,
        client_encoding="UTF8",
        application_name="stand-in of pg_net, starting",
        # a background worker is under none of these, whatever its role or database sets
        options="-c statement_timeout=0 -c lock_timeout=0 -c idle_in_transaction_session_timeout=0",
    )


def _read_settings(connection: psycopg.Connection[Any]) -> tuple[str, int]:
    row = connection.execute(_SETTINGS).fetchone()
    ttl, size = row if row is not None else (None, None)
    # a malformed ttl stays as it is and fails in the next statement, as pg_net's does
    batch_size = int(size) if size and size.isdecimal() and int(size) <= _MAX_BATCH_SIZE else _DEFAULT_BATCH_SIZE
    return ttl if ttl is not None else _DEFAULT_TTL, batch_size


def _store(connection: psycopg.Connection[Any], exchange: Exchange, code: int) -> None:
    request = exchange.request
    if code == pycurl.E_OPERATION_TIMEDOUT:
        message = _timeout_message(exchange.handle, request.timeout_milliseconds)
        connection.execute(_STORE_FAILURE, [request.id, True, message])
    elif code != pycurl.E_OK:
        connection.execute(_STORE_FAILURE, [request.id, False, pycurl.easy_strerror(code)])
    else:
        headers = exchange.first_headers
        content = bytes(exchange.body).split(b"\0", 1)[0]
        connection.execute(
            _STORE_RESPONSE,
            [
                request.id,
                exchange.handle.getinfo(pycurl.RESPONSE_CODE),
                exchange.content_type,
                [name for name, _ in headers],
                [value for _, value in headers],
                content or None,
            ],
        )


def _timeout_message(handle: Any, limit: int) -> str:
    """Say how long each phase of a timed-out exchange took, in milliseconds."""
    lookup, connected, secured, started, total = (
        handle.getinfo(what)
        for what in (
            pycurl.NAMELOOKUP_TIME,
            pycurl.CONNECT_TIME,
            pycurl.APPCONNECT_TIME,
            pycurl.PRETRANSFER_TIME,
            pycurl.TOTAL_TIME,
        )
    )
    # libcurl leaves the clock of an unfinished phase at 0, so the phase that ran out is charged with the
    # rest; recent versions stop the last clock nevertheless, so a request of no bytes counts as not begun
    if lookup == 0 and connected == 0:
        dns, handshake, http = total, 0.0, 0.0
    elif started == 0 or handle.getinfo(pycurl.REQUEST_SIZE) == 0:
        dns, handshake, http = lookup, total - lookup, 0.0
    else:
        dns, handshake, http = lookup, max(connected, secured) - lookup, total - started
    message = (
        f"Timeout of {limit} ms reached. Total time: {total * 1000:f} ms (DNS time: {dns * 1000:f} ms, "
        f"TCP/SSL handshake time: {handshake * 1000:f} ms, HTTP Request/Response time: {http * 1000:f} ms)"
    )
    return message[:_TIMEOUT_MESSAGE_LIMIT]


def _describe(error: BaseException) -> str:
    """Name an error without anything that could quote a header or a body."""
    if isinstance(error, pycurl.error):
        return f"libcurl: {pycurl.easy_strerror(error.args[0])}"
    if isinstance(error, psycopg.Error) and error.sqlstate is not None:
        # the text of raised, data and constraint errors may quote the row
        quotes_data = error.sqlstate[:2] in ("P0", "22", "23")
        text = "" if quotes_data else f": {error.diag.message_primary}"
        return f"{type(error).__name__} ({error.sqlstate}){text}"
    return f"{type(error).__name__}: {next(iter(str(error).strip().splitlines()), 'no message')}"


def main() -> int:
    """Run the worker until SIGTERM or SIGINT; return the exit status."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    worker = Worker()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: worker.stop())
    worker.run()
    return 0


if __name__ == "__main__":
    sys.exit(main())
