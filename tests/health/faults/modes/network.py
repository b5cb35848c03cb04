"""G: what lies between pg_net and the project's address."""

import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from autosync_db.local import cluster
from tests.health.actions import Action, admin, answers, answers_again, secrets_again, steps, tick, unanswered
from tests.health.faults.mode import AnyMode, Mode, ServerMode
from tests.health.faults.modes.function import WRITTEN
from tests.support.clusters import REAL_PG_NET
from tests.support.health import Project

_NO_NAME_SERVER = (
    "Timeout of 1000 ms reached. Total time: 1000.814000 ms (DNS time: 1000.814000 ms,"
    " TCP/SSL handshake time: 0.000000 ms, HTTP Request/Response time: 0.000000 ms)"
)
_NO_HANDSHAKE = (
    "Timeout of 1000 ms reached. Total time: 1000.814000 ms (DNS time: 0.214000 ms,"
    " TCP/SSL handshake time: 1000.600000 ms, HTTP Request/Response time: 0.000000 ms)"
)


def address(url: str) -> Action[Project]:
    """Return what stores another address and lets the job call it."""

    def act(project: Project) -> None:
        project.store(project_url=url)
        project.tick()

    return act


def _address_of(server: Callable[[], AbstractContextManager[str]]) -> Action[Project]:
    """Return what lets the job call the address of a server that runs until the fault is fixed."""

    def act(project: Project) -> None:
        project.set_job(timeout="1s")
        address(project.hold(server()))(project)

    return act


@contextmanager
def _listener(backlog: int = 5) -> Iterator[socket.socket]:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(backlog)
        yield listening


def _url(listening: socket.socket, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{listening.getsockname()[1]}"


def _taken_back(project: Project) -> None:
    project.release()
    project.restore_job()
    secrets_again(project)


@contextmanager
def _full() -> Iterator[str]:
    """Listen and accept nobody: the kernel lets handshakes beyond the backlog wait."""
    with _listener(0) as listening:
        waiting = []
        try:
            for _ in range(4):
                client = socket.socket()
                client.setblocking(False)
                client.connect_ex(listening.getsockname())
                waiting.append(client)
            yield _url(listening)
        finally:
            for client in waiting:
                client.close()


@contextmanager
def _silent() -> Iterator[str]:
    """Accept and never answer."""
    with _listener() as listening:
        yield _url(listening)


@contextmanager
def _closing() -> Iterator[str]:
    """Accept, read and close without an answer."""
    with _listener() as listening:

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                except OSError:
                    return
                with client:
                    client.recv(65536)

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield _url(listening)
        finally:
            listening.shutdown(socket.SHUT_RDWR)


@contextmanager
def _self_signed() -> Iterator[str]:
    """Serve TLS with a certificate that nobody signed."""
    with TemporaryDirectory() as folder, _listener() as listening:
        key, certificate = Path(folder, "key.pem"), Path(folder, "certificate.pem")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days",
             "1", "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out",
             str(certificate)],
            check=True,
            capture_output=True,
        )  # fmt: skip
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)

        def serve() -> None:
            while True:
                try:
                    client, _ = listening.accept()
                    with client, context.wrap_socket(client, server_side=True):
                        pass
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        try:
            yield _url(listening, "https")
        finally:
            listening.shutdown(socket.SHUT_RDWR)


MODES: tuple[AnyMode, ...] = (
    ServerMode(
        "G1",
        "the address's host name does not exist",
        "project_url_resolves",
        address("https://nosuchhost.invalid"),
        says="resolve host",
        undo=secrets_again,
    ),
    ServerMode(
        "G2",
        "nobody listens at the address",
        "project_url_reachable",
        lambda project: address(f"http://127.0.0.1:{cluster.free_port()}")(project),
        reason="this_machine",
        says="connect",
        undo=secrets_again,
    ),
    ServerMode(
        "G3",
        "the address says https, and the port speaks plain HTTP",
        "project_url_reachable",
        lambda project: address(project.stub.url.replace("http:", "https:"))(project),
        says="SSL",
        undo=secrets_again,
    ),
    ServerMode(
        "G4",
        "the server's certificate is signed by nobody",
        "project_url_reachable",
        _address_of(_self_signed),
        reason="certificate",
        says="SSL peer certificate",
        undo=_taken_back,
        long=True,
    ),
    Mode(
        "G5",
        "the name server does not answer",
        "project_url_resolves",
        steps(
            # an answer of the last minutes would show that names are found
            admin("update net._http_response set created = created - interval '1 hour'"),
            unanswered(_NO_NAME_SERVER, timed_out=True),
        ),
        says="DNS time: 1000",
        undo=tick,
        simulated="the answer is written into pg_net's table",
    ),
    ServerMode(
        "G6",
        "the address does not complete the handshake",
        "project_url_reachable",
        # pg_net 0.20.4 with libcurl 7.88 does not outlive such a timeout: its worker dies and sends the call again
        unanswered(_NO_HANDSHAKE, timed_out=True) if REAL_PG_NET else _address_of(_full),
        reason="shut_out",
        says="TCP/SSL handshake time: 1",
        undo=_taken_back,
        simulated="the answer is written into pg_net's table" if REAL_PG_NET else "",
        long=True,
    ),
    ServerMode(
        "G7",
        "the address takes the call and never answers",
        "function_answers_in_time",
        _address_of(_silent),
        says="HTTP Request/Response time: ",
        undo=_taken_back,
        long=True,
    ),
    Mode(
        "G8",
        "the address has a scheme that nobody speaks",
        "project_url_valid",
        address("ftp://127.0.0.1"),
        says="has the scheme ftp",
        undo=secrets_again,
    ),
    ServerMode(
        "G9",
        "the address closes the connection without an answer",
        "project_url_reachable",
        _address_of(_closing),
        reason="broken_off",
        says="Server returned nothing",
        undo=_taken_back,
        long=True,
    ),
    Mode(
        "G10",
        "a content network answers for a server that it cannot reach",
        "project_url_reachable",
        answers(522, "<html><title>522: Connection timed out</title></html>"),
        reason="behind",
        says="522",
        undo=answers_again,
        simulated=WRITTEN,
    ),
)
