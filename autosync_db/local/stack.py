"""The whole chain on this machine: PostgreSQL with pg_cron and pg_net, and the Edge Functions on Deno.

Everything lies under one folder (`.autosync`), on loopback ports that were free. Where the unprivileged user that
PostgreSQL needs cannot enter that folder (root's home, say), the cluster lies in a fresh folder under /var/tmp, to
which `.autosync/cluster` points.
"""

import fcntl
import hashlib
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import time
import tomllib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import httpx
import jwt
import psycopg

from autosync_db import resources
from autosync_db.errors import UnreachableError, UsageError
from autosync_db.local import cluster as clusters
from autosync_db.local import container, engine, process
from autosync_db.local.cluster import HOST, SUPERUSER, Cluster
from autosync_db.local.container import Container
from autosync_db.local.engine import Engine
from autosync_db.local.process import Process
from autosync_db.secret import Secret

KeyKind = Literal["legacy", "secret"]
EngineKind = Literal["system", "docker", "podman"]
Database = Cluster | Container
LOGS = ("postgres", "pg_net", "edge")
_OUTSIDE = Path("/var/tmp")  # noqa: S108 - mkdtemp makes a private folder in it
_PREFIX = "autosync-"
_READY_SECONDS = 60
_YEAR_SECONDS = 365 * 24 * 3600


@dataclass(slots=True)
class _State:
    """What the next command must know; no secret is in it."""

    port: int
    major: int
    stand_in: bool
    edge_port: int
    functions: str
    key_kind: KeyKind
    processes: dict[str, Process] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _InContainer:
    """Where the database runs, if not on this machine's own PostgreSQL; written before anything is created."""

    program: engine.Program
    name: str
    image: str | None

    def __str__(self) -> str:
        return f"{self.program} with {self.image or 'its own image'}"


@dataclass(frozen=True, slots=True)
class Component:
    """One part of the stack as it is now."""

    name: str
    running: bool
    detail: str


@dataclass(frozen=True, slots=True)
class Stack:
    """The local stack under `folder`."""

    folder: Path

    @property
    def project_url(self) -> str:
        """Return the address under which the functions are served."""
        return f"http://{HOST}:{self._state().edge_port}"

    @property
    def service_key(self) -> Secret:
        """Return the key that the functions accept."""
        return Secret(self._key_file.read_text(encoding="utf-8").strip())

    @property
    def anon_key(self) -> Secret:
        """Return the public key, which the functions must refuse."""
        return Secret(self._keys()["anon"])

    def exists(self) -> bool:
        """Return whether the stack was ever started here."""
        return self._state_file.exists()

    def is_running(self) -> bool:
        """Return whether every part runs."""
        return self.exists() and all(part.running for part in self.status())

    def cluster(self) -> Database:
        """Return the stack's database cluster."""
        state = self._state()
        folder = self._cluster_folder()
        inside = self._in_container()
        try:
            lines = (folder / "pgpass").read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:
            raise self._damaged() from None
        passwords = dict(line.split(":")[3:5] for line in lines)
        if inside is None:
            return Cluster(folder, state.port, state.major, state.stand_in, passwords)
        return Container(
            folder,
            state.port,
            state.major,
            state.stand_in,
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
        """Start whatever does not run, creating what is not there; an interrupted creation is begun anew.

        `kind` and `image` choose what runs PostgreSQL, once. Raises UsageError when something is missing here, or when
        another command works on the stack; UnreachableError when a part does not start.
        """
        deno = find_deno()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        with self._locked():
            if self.exists():
                state = self._state()
                if key_kind is not None and key_kind != state.key_kind:
                    raise UsageError(
                        f"this stack has a {state.key_kind} key", hint="begin anew: autosync-db local down --purge"
                    )
                self._demand_same(kind, image)
                database = self._restart_cluster(state, say)
            else:
                self._discard_cluster()
                database = self._create_cluster(kind or "system", image, say)
                state = _State(
                    port=database.port,
                    major=database.major,
                    stand_in=database.stand_in,
                    edge_port=clusters.free_port(),
                    functions="",
                    key_kind=key_kind or "legacy",
                )
                self._write_keys(state.key_kind)
            wanted = str(functions.resolve()) if functions else state.functions or str(self._ship_functions())
            if wanted != state.functions and "edge" in state.processes:
                state.processes.pop("edge").stop()
            state.functions = wanted
            self._write(state)
            if isinstance(database, Container) and not self._runs(state, "log"):
                state.processes["log"] = process.start(
                    database.follow_log, environment={}, log=database.log, folder=self.folder
                )
                self._write(state)
            if database.stand_in:
                self._start(state, "pg_net", [sys.executable, "-m", "autosync_db.local.pg_net.worker"], {
                    **database.environment("postgres"), "PYTHONUNBUFFERED": "1",
                })  # fmt: skip
                self._write(state)
            if not self._runs(state, "edge"):
                say("starting the Edge Functions on Deno")
                if not _is_free(state.edge_port):
                    state.edge_port = clusters.free_port()
                self._start_edge(state, database, deno)
                self._write(state)
            self._write_target(state, database)
            self._await_edge(state)

    def down(self, *, purge: bool = False) -> bool:
        """Stop everything that `up` started; `purge` deletes the data too. Return whether there was anything."""
        if not self.folder.exists():
            return False
        with self._locked():
            found = self.exists()
            if found:
                state, database = self._state(), self.cluster()
                if isinstance(database, Container):
                    engine.find(database.engine.program)  # what does not answer would leave its container behind
                for name, part in state.processes.items():
                    if name != "log":  # it ends with what it follows
                        part.stop()
                (self.folder / "target.json").unlink(missing_ok=True)
                database.stop()
                if "log" in state.processes:
                    state.processes["log"].stop()
                state.processes = {}
                self._write(state)
            if purge:
                found = self._discard_cluster() or found
                for name in ("state.json", "keys.json", "service_role_key", "functions.env", "edge.log", "pg_net.log"):
                    (self.folder / name).unlink(missing_ok=True)
                for name in ("functions", "edge", "deno"):
                    shutil.rmtree(self.folder / name, ignore_errors=True)
        if purge:
            (self.folder / "lock").unlink(missing_ok=True)
            if not any(self.folder.iterdir()):
                self.folder.rmdir()
        return found

    def status(self) -> list[Component]:
        """Return every part with whether it runs and where."""
        if not self.exists():
            return []
        state, database = self._state(), self.cluster()
        runs = database.is_running()
        where = f"PostgreSQL {state.major} on {HOST}:{state.port}"
        if isinstance(database, Container):
            where += f" in the {database.engine.program} container {database.name}"
        parts = [Component("postgres", runs, where)]
        if state.stand_in:
            parts.append(
                Component(
                    "pg_net",
                    self._runs(state, "pg_net"),
                    "stand-in worker: pg_net itself is not installed here",
                )
            )
        else:
            parts.append(Component("pg_net", runs, "the real pg_net, inside PostgreSQL"))
        parts.append(
            Component(
                "edge",
                self._runs(state, "edge"),
                f"functions of {state.functions} on http://{HOST}:{state.edge_port}",
            )
        )
        return parts

    def log(self, name: str) -> Path:
        """Return the log file of a part. Raises UsageError when there is no such part."""
        if name not in LOGS:
            raise UsageError(f"there is no log {name!r}", hint=f"choose one of: {', '.join(LOGS)}")
        if not self.exists():
            raise UsageError("there is no local stack here", hint="start one with: autosync-db local up")
        return self.cluster().log if name == "postgres" else self.folder / f"{name}.log"

    @property
    def _state_file(self) -> Path:
        return self.folder / "state.json"

    @property
    def _key_file(self) -> Path:
        return self.folder / "service_role_key"

    def _state(self) -> _State:
        try:
            values: dict[str, Any] = json.loads(self._state_file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UsageError("there is no local stack here", hint="start one with: autosync-db local up") from None
        except ValueError:
            raise self._damaged() from None
        try:
            values["processes"] = {name: Process(**found) for name, found in values["processes"].items()}
            return _State(**values)
        except (KeyError, TypeError, AttributeError):
            raise self._damaged() from None

    def _damaged(self) -> UsageError:
        return UsageError(f"{self._state_file} is damaged", hint=f"rm {self._state_file}, then: autosync-db local up")

    def _write(self, state: _State) -> None:
        _write_private(self._state_file, json.dumps(asdict(state), indent=2))

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

    @property
    def _container_file(self) -> Path:
        return self.folder / "container.json"

    def _in_container(self) -> _InContainer | None:
        try:
            found = _InContainer(**json.loads(self._container_file.read_text(encoding="utf-8")))
        except FileNotFoundError:
            return None
        except (TypeError, ValueError):
            raise self._damaged() from None
        if found.name != self._container_name:
            # the container is another folder's, of which this one is a copy
            raise UsageError(
                f"the stack in {self.folder} was made in another folder, to which the container {found.name} belongs",
                hint=f"begin anew: rm -r {self.folder}, then: autosync-db local up",
            )
        return found

    @property
    def _container_name(self) -> str:
        return f"autosync-{hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:12]}"

    def _demand_same(self, kind: EngineKind | None, image: str | None) -> None:
        """Raise UsageError when this stack's database runs on something else than what is asked for."""
        inside = self._in_container()
        if inside is None:
            same = kind in (None, "system")
        else:
            # docker means whichever of the two answered
            same = kind in (None, "docker", inside.program) and image in (None, inside.image)
        if not same:
            raise UsageError(
                f"the database of this stack runs on {inside or 'the engine system'}",
                hint="begin anew: autosync-db local down --purge",
            )

    def _create_cluster(self, kind: EngineKind, image: str | None, say: Callable[[str], None]) -> Database:
        if kind == "system":
            say("creating a private PostgreSQL cluster")
            return clusters.create(self._new_cluster_folder())
        runner = engine.find(None if kind == "docker" else kind)
        inside = _InContainer(runner.program, self._container_name, image)
        _write_private(self._container_file, json.dumps(asdict(inside)))
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
            self._container_file.unlink()
            found = True
        if folder.exists():
            if (folder / "data" / "postmaster.pid").exists():
                majors = [int(entry.name) for entry in (folder / "install" / "lib" / "postgresql").iterdir()]
                Cluster(folder, 0, majors[0], False, {}).stop("immediate")
            shutil.rmtree(folder)
        link = self.folder / "cluster"
        if link.is_symlink():
            if folder.parent.exists():
                folder.parent.rmdir()
            link.unlink()
        return found

    def _restart_cluster(self, state: _State, say: Callable[[str], None]) -> Database:
        database = self.cluster()
        if isinstance(database, Container):
            engine.find(database.engine.program)
        if database.is_running():
            return database
        say("starting PostgreSQL")
        moved = not _is_free(state.port)
        if moved:
            state.port = clusters.free_port()
            self._write(state)
            database = self.cluster()
        database.start()
        if moved:
            # pg_cron copies the port into a job when it is scheduled
            with psycopg.connect(database.url(SUPERUSER).reveal(), autocommit=True) as connection:
                if connection.execute("select to_regclass('cron.job') is not null").fetchone() == (True,):
                    connection.execute("update cron.job set nodeport = %s", [state.port])
        return database

    def _ship_functions(self) -> Path:
        target = self.folder / "functions"
        if not target.exists():
            with resources.folder("templates/functions") as source:
                shutil.copytree(source, target)
        return target

    def _write_keys(self, key_kind: KeyKind) -> None:
        signing = secrets.token_urlsafe(48)
        now = int(datetime.now(UTC).timestamp())
        claims = {"iss": "supabase", "ref": "local", "iat": now, "exp": now + _YEAR_SECONDS}
        anon = jwt.encode({**claims, "role": "anon"}, signing, algorithm="HS256")
        service = (
            jwt.encode({**claims, "role": "service_role"}, signing, algorithm="HS256")
            if key_kind == "legacy"
            else f"sb_secret_{secrets.token_urlsafe(32)}"
        )
        _write_private(self.folder / "keys.json", json.dumps({"jwt_secret": signing, "anon": anon}))
        _write_private(self._key_file, service + "\n")

    def _keys(self) -> dict[str, str]:
        found: dict[str, str] = json.loads((self.folder / "keys.json").read_text(encoding="utf-8"))
        return found

    def _start(self, state: _State, name: str, command: list[str], environment: dict[str, str]) -> None:
        if not self._runs(state, name):
            state.processes[name] = process.start(
                command, environment=environment, log=self.folder / f"{name}.log", folder=self.folder
            )

    def _start_edge(self, state: _State, database: Database, deno: str) -> None:
        if self._runs(state, "edge"):
            return
        runtime = self.folder / "edge"
        shutil.rmtree(runtime, ignore_errors=True)
        with resources.folder("autosync_db/local/edge") as source:
            shutil.copytree(source, runtime)
        settings = self.folder / "functions.env"
        settings.touch(mode=0o600)
        keys = self._keys()
        self._start(
            state,
            "edge",
            [
                deno, "run", "--no-prompt", "--allow-net", "--allow-env", "--allow-read", "--allow-run",
                "--config", str(runtime / "deno.json"), str(runtime / "main.ts"),
            ],
            {
                "AUTOSYNC_EDGE_PORT": str(state.edge_port),
                "AUTOSYNC_FUNCTIONS_DIR": state.functions,
                "AUTOSYNC_FUNCTIONS_ENV_FILE": str(settings),
                "AUTOSYNC_VERIFY_JWT": _verify_jwt(Path(state.functions), state.key_kind),
                "AUTOSYNC_JWT_SECRET": keys["jwt_secret"],
                "AUTOSYNC_DB_URL": database.url("authenticator").reveal(),
                "SUPABASE_ANON_KEY": keys["anon"],
                "SUPABASE_SERVICE_ROLE_KEY": self.service_key.reveal(),
                "SUPABASE_DB_URL": database.url("postgres").reveal(),
                "DENO_DIR": str(self.folder / "deno"),
                "DENO_NO_UPDATE_CHECK": "1",
                "NO_COLOR": "1",
            },
        )  # fmt: skip

    def _runs(self, state: _State, name: str) -> bool:
        found = state.processes.get(name)
        return found is not None and found.is_running()

    def _await_edge(self, state: _State) -> None:
        url = f"http://{HOST}:{state.edge_port}/health"
        deadline = time.monotonic() + _READY_SECONDS
        with httpx.Client(trust_env=False, timeout=5) as client:
            while time.monotonic() < deadline and self._runs(state, "edge"):
                try:
                    if client.get(url).is_success:
                        return
                except httpx.TransportError:
                    time.sleep(0.1)
        log = self.folder / "edge.log"
        tail = log.read_text(encoding="utf-8", errors="replace").splitlines()[-3:]
        raise UnreachableError("the Edge Functions did not start: " + " | ".join(tail), hint=f"read {log}")

    def _write_target(self, state: _State, database: Database) -> None:
        target = {
            "database_url": database.url().reveal(),
            "project_url": f"http://{HOST}:{state.edge_port}",
            "service_role_key_file": str(self._key_file),
        }
        _write_private(self.folder / "target.json", json.dumps(target, indent=2))


def _verify_jwt(functions: Path, key_kind: KeyKind) -> str:
    """Return for which functions the gateway verifies JWTs: as config.toml says, beside them or one folder above.

    Without an entry it does, as the platform would; a secret key is no JWT, so with one the function alone judges.
    """
    chosen: dict[str, bool] = {}
    for path in (functions.parent / "config.toml", functions / "config.toml"):
        try:
            entries = tomllib.loads(path.read_text(encoding="utf-8")).get("functions", {})
        except FileNotFoundError:
            continue
        except (OSError, ValueError) as error:
            raise UsageError(f"{path} cannot be read: {error}", hint="correct it") from None
        chosen |= {
            name: entry["verify_jwt"]
            for name, entry in entries.items()
            if isinstance(entry, dict) and isinstance(entry.get("verify_jwt"), bool)
        }
    default = "true" if key_kind == "legacy" else "false"
    return ",".join([default, *(f"{name}={str(verify).lower()}" for name, verify in sorted(chosen.items()))])


def find_deno() -> str:
    """Return the path of the Deno program. Raises UsageError when it is not installed."""
    try:
        import deno

        return str(deno.find_deno_bin())
    except (ImportError, FileNotFoundError):
        found = shutil.which("deno")
        if found is None:
            raise UsageError(
                "the local stack needs Deno, which is not installed",
                hint="run: pip install 'autosync-db[local]'",
            ) from None
        return found


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _write_private(path: Path, text: str) -> None:
    """Replace a file in one step, readable by its owner alone."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
    temporary.replace(path)
