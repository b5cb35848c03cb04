"""A whole local stack: its database, the worker of the pg_net stand-in, and the Edge Functions.

Everything lies under one folder (`.autosync`), on loopback ports that were free. Where the unprivileged user that
PostgreSQL needs cannot enter that folder (root's home, say), the cluster lies in a fresh folder under /var/tmp, to
which `.autosync/cluster` points.
"""

import fcntl
import hashlib
import json
import shutil
import socket
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from autosync_db import config, user_files
from autosync_db.errors import UsageError, unknown
from autosync_db.local import cluster as clusters
from autosync_db.local import container, edge_runtime, engine, keys, process, require, state
from autosync_db.local.cluster import HOST, SUPERUSER, Cluster
from autosync_db.local.container import Container
from autosync_db.local.engine import Engine
from autosync_db.local.state import Component, EngineKind, InContainer, KeyKind, State
from autosync_db.secret import Secret

Database = Cluster | Container
LOGS = ("postgres", "pg_net", "edge")
_OUTSIDE = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
_PREFIX = "autosync-"
_START_OVER = "start over: autosync-db local down --purge"


@dataclass(frozen=True, slots=True)
class Stack:
    """The local stack under `folder`."""

    folder: Path

    @property
    def project_url(self) -> str:
        """Return the address under which the functions are served."""
        return _project_url(state.load(self.folder))

    @property
    def service_key(self) -> Secret:
        """Return the key that the functions accept."""
        return keys.load(self.folder).service

    def exists(self) -> bool:
        """Return whether the stack was ever started here."""
        return state.exists(self.folder)

    def is_running(self) -> bool:
        """Return whether every part runs."""
        return self.exists() and all(part.running for part in self.status())

    def cluster(self) -> Database:
        """Return the stack's database cluster."""
        found = state.load(self.folder)
        folder = self._cluster_folder()
        inside = self._in_container()
        try:
            lines = (folder / "pgpass").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise state.damaged(self.folder) from None
        passwords = dict(line.split(":")[3:5] for line in lines)
        if inside is None:
            return Cluster(folder, found.port, found.major, found.stand_in, passwords)
        return Container(
            folder,
            found.port,
            found.major,
            found.stand_in,
            passwords,
            Engine(inside.program),
            inside.name,
            inside.image,
        )

    def up(
        self,
        *,
        key_kind: KeyKind | None = None,
        functions: Path | None = None,
        kind: EngineKind | None = None,
        image: str | None = None,
        say: Callable[[str], None],
    ) -> None:
        """Start whatever does not run, creating what is not there; an interrupted creation is started over.

        `kind` and `image` choose what runs PostgreSQL, once. Raises UsageError when something is missing here, or when
        another command works on the stack; UnreachableError when a part does not start.
        """
        require("pycurl")
        deno = edge_runtime.find_deno()
        with user_files.refusals():
            config.make_local_folder(self.folder)
        with self._locked():
            if self.exists():
                current = state.load(self.folder)
                self._require_same(current, key_kind, kind, image)
                database = self._restart_cluster(current, say)
            else:
                self._discard_cluster()
                database = self._create_cluster(kind or "system", image, say)
                current = State(
                    port=database.port,
                    major=database.major,
                    stand_in=database.stand_in,
                    edge_port=clusters.free_port(),
                    functions="",
                    key_kind=key_kind or "legacy",
                )
                keys.create(self.folder, current.key_kind)
            self._choose_functions(current, functions)
            self._start_processes(current, database, deno, say)
            self._write_target(current, database)
            edge_runtime.wait_until_ready(self.folder, current)

    def down(self, *, purge: bool = False) -> bool:
        """Stop everything that `up` started; `purge` deletes the data too. Return whether there was anything."""
        if not self.folder.exists():
            return False
        with self._locked():
            found = self.exists()
            if found:
                self._stop()
            if purge:
                found = self._discard_cluster() or found
                for name in ("state.json", "keys.json", "service_role_key", "functions.env", "edge.log", "pg_net.log"):
                    (self.folder / name).unlink(missing_ok=True)
                for name in ("functions", "edge", "deno"):
                    shutil.rmtree(self.folder / name, ignore_errors=True)
        if purge:
            (self.folder / "lock").unlink(missing_ok=True)
            if {path.name for path in self.folder.iterdir()} <= {".gitignore"}:
                shutil.rmtree(self.folder)
        return found

    def restart_database(self) -> None:
        """Restart the server alone, as after a restart of its machine."""
        with self._locked():
            database = self.cluster()
            database.stop()
            database.start()

    def status(self) -> list[Component]:
        """Return every part with whether it runs and where. Raises UsageError when there is no stack here."""
        current, database = state.load(self.folder), self.cluster()
        runs = database.is_running()
        where = f"PostgreSQL {current.major} on {HOST}:{current.port}"
        if isinstance(database, Container):
            where += f" in the {database.engine.program} container {database.name}"
        if current.stand_in:
            pg_net_runs, pg_net = current.runs("pg_net"), "stand-in worker: pg_net itself is not installed here"
        else:
            pg_net_runs, pg_net = runs, "the real pg_net, inside PostgreSQL"
        edge = f"functions of {current.functions} on {_project_url(current)}"
        return [
            Component("postgres", runs, where),
            Component("pg_net", pg_net_runs, pg_net),
            Component("edge", current.runs("edge"), edge),
        ]

    def log(self, name: str) -> Path:
        """Return the log file of a part. Raises UsageError when there is no such part."""
        if name not in LOGS:
            raise unknown("log", name, LOGS, hint=f"choose one of: {', '.join(LOGS)}")
        if not self.exists():
            raise state.no_stack()
        return self.cluster().log if name == "postgres" else self.folder / f"{name}.log"

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise UsageError(
                    f"another command works on the local stack in {self.folder}", hint="wait until it has ended"
                ) from None
            yield

    def _cluster_folder(self) -> Path:
        """Return where the cluster lies: in the stack's folder, or where a link that was made here points."""
        link = self.folder.resolve() / "cluster"
        if not link.is_symlink():
            return link
        target = link.resolve()
        if target.name != "cluster" or target.parent.parent != _OUTSIDE or not target.parent.name.startswith(_PREFIX):
            raise UsageError(f"{link} points to {target}, which was not made here", hint=f"remove the link: rm {link}")
        return target

    def _in_container(self) -> InContainer | None:
        found = state.load_container(self.folder)
        if found is not None and found.name != self._container_name:
            # this folder is a copy: the container belongs to the original
            raise UsageError(
                f"the stack in {self.folder} was made in another folder, to which the container {found.name} belongs",
                hint=f"start over: rm -r {self.folder}, then: autosync-db local up",
            )
        return found

    @property
    def _container_name(self) -> str:
        return f"autosync-{hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]}"

    def _require_same(
        self, current: State, key_kind: KeyKind | None, kind: EngineKind | None, image: str | None
    ) -> None:
        """Raise UsageError when this stack was made with something else than what is asked for."""
        if key_kind not in (None, current.key_kind):
            raise UsageError(f"this stack has a {current.key_kind} key", hint=_START_OVER)
        inside = self._in_container()
        if inside is None:
            same = kind in (None, "system")
        else:
            # docker means whichever of the two answered
            same = kind in (None, "docker", inside.program) and image in (None, inside.image)
        if not same:
            raise UsageError(f"the database of this stack runs on {inside or 'the engine system'}", hint=_START_OVER)

    def _create_cluster(self, kind: EngineKind, image: str | None, say: Callable[[str], None]) -> Database:
        if kind == "system":
            say("creating a private PostgreSQL cluster")
            return clusters.create(self._new_cluster_folder())
        runner = engine.find(None if kind == "docker" else kind)
        inside = InContainer(runner.program, self._container_name, image)
        state.save_container(self.folder, inside)
        folder = self.folder.resolve() / "cluster"
        return container.create(folder, runner=runner, name=inside.name, image=image, say=say)

    def _new_cluster_folder(self) -> Path:
        inside = self.folder.resolve() / "cluster"
        if clusters.server_can_enter(self.folder.resolve()):
            return inside
        outside = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=_OUTSIDE))
        outside.chmod(0o711)
        inside.symlink_to(outside / "cluster")
        return outside / "cluster"

    def _discard_cluster(self) -> bool:
        """Stop and delete whatever cluster there is, a half-made one too; return whether there was any."""
        folder = self._cluster_folder()
        found = folder.exists()
        inside = self._in_container()
        if inside is not None:
            runner = engine.find(inside.program)
            Container(folder, 0, 0, False, {}, runner, inside.name, inside.image).delete()
            state.container_file(self.folder).unlink()
            found = True
        if folder.exists():
            Cluster(folder, 0, 0, False, {}).stop("immediate")
            shutil.rmtree(folder)
        link = self.folder / "cluster"
        if link.is_symlink():
            if folder.parent.exists():
                folder.parent.rmdir()
            link.unlink()
        return found

    def _restart_cluster(self, current: State, say: Callable[[str], None]) -> Database:
        database = self.cluster()
        if isinstance(database, Container):
            engine.find(database.engine.program)
        if database.is_running():
            return database
        say("starting PostgreSQL")
        moved = not _is_free(current.port)
        if moved:
            current.port = clusters.free_port()
            state.save(self.folder, current)
            database = self.cluster()
        database.start()
        if moved:
            # pg_cron copies the port into a job when it is scheduled
            with psycopg.connect(database.url(SUPERUSER).reveal(), autocommit=True) as connection:
                if connection.execute("select to_regclass('cron.job') is not null").fetchone() == (True,):
                    connection.execute("update cron.job set nodeport = %s", [current.port])
        return database

    def _choose_functions(self, current: State, functions: Path | None) -> None:
        """Let the runtime serve the folder that is asked for, or the one before, or the shipped functions."""
        if functions:
            wanted = str(functions.resolve())
        else:
            wanted = current.functions or str(edge_runtime.ship_functions(self.folder))
        if wanted != current.functions and "edge" in current.processes:
            current.processes.pop("edge").stop()
        current.functions = wanted
        state.save(self.folder, current)

    def _start_processes(self, current: State, database: Database, deno: str, say: Callable[[str], None]) -> None:
        """Start every process beside the server that does not run; each is written down as soon as it does."""
        if isinstance(database, Container) and not current.runs("log"):
            current.processes["log"] = process.start(
                database.follow_log, environment={}, log=database.log, folder=self.folder
            )
            state.save(self.folder, current)
        if database.stand_in and not current.runs("pg_net"):
            current.processes["pg_net"] = process.start(
                [sys.executable, "-m", "autosync_db.local.pg_net.worker"],
                environment={**database.environment("postgres"), "PYTHONUNBUFFERED": "1"},
                log=self.folder / "pg_net.log",
                folder=self.folder,
            )
            state.save(self.folder, current)
        if not current.runs("edge"):
            say("starting the Edge Functions on Deno")
            if not _is_free(current.edge_port):
                current.edge_port = clusters.free_port()
            current.processes["edge"] = edge_runtime.start(self.folder, current, database, deno)
            state.save(self.folder, current)

    def _stop(self) -> None:
        current, database = state.load(self.folder), self.cluster()
        if isinstance(database, Container):
            engine.find(database.engine.program)  # one that does not answer would leave its container behind
        for name, part in current.processes.items():
            if name != "log":  # it ends with what it follows
                part.stop()
        (self.folder / "target.json").unlink(missing_ok=True)
        database.stop()
        if "log" in current.processes:
            current.processes["log"].stop()
        current.processes = {}
        state.save(self.folder, current)

    def _write_target(self, current: State, database: Database) -> None:
        target = {
            "database_url": database.url().reveal(),
            "project_url": _project_url(current),
            "service_role_key_file": str(keys.service_file(self.folder)),
        }
        state.write_private(self.folder / "target.json", json.dumps(target, indent=2))


def _project_url(current: State) -> str:
    return f"http://{HOST}:{current.edge_port}"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
