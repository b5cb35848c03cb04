"""The local stack's PostgreSQL in a container: the project's own image, or any that is started as the official one is.

The container shares the host's network, so the server listens on the host's loopback alone, and pg_net in it reaches
the Edge Functions where everybody else does; docs/guides/containers.md says why. Nothing of the host is mounted.
"""

import io
import json
import secrets
import tarfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from autosync_db import resources
from autosync_db.errors import UnreachableError, UsageError
from autosync_db.local import cluster, engine, installation
from autosync_db.local.cluster import HOST, SUPERUSER, Server
from autosync_db.local.engine import Engine

_LABEL = "autosync-db.stack"
_FILES = "/etc/autosync-db"
_EXTENSIONS = ("pg_cron", "pg_net")
# Supabase's own images come with their settings and roles, and keep keys here that the data is useless without
_PREPARED = "/etc/postgresql-custom"
_NOT_RUN = (125, 126)  # the engine's own exit statuses
_STOP_SECONDS = 30
# the first start of Supabase's own images runs all their migrations
_READY_SECONDS = 180
_LOOK = f"""
test -e {_PREPARED}/supautils.conf && echo prepared || echo plain
pg_config --version
pg_config --sharedir
ls "$(pg_config --pkglibdir)"
"""


@dataclass(frozen=True, slots=True)
class Container(Server):
    """A server in a container; methods start and stop it. Its data is in a volume of the same name."""

    engine: Engine
    name: str
    image: str | None
    """The image that was asked for; None is the project's own, whatever its current version."""

    def start(self, say: Callable[[str], None] = lambda _: None) -> None:
        """Start the server and wait until it accepts connections; a container of the same name is replaced.

        Raises UsageError when the image will not do, UnreachableError with the log's tail when it does not start.
        """
        image = _image(self.engine, self.image, say)
        found = _Image.look(self.engine, image)
        if found.major is not None and self.major not in (0, found.major):
            raise UsageError(
                f"the data is of PostgreSQL {self.major}, and the image {image} has {found.major}",
                hint="start over: autosync-db local down --purge",
            )
        self._start(image, found, {})

    def stop(self, mode: str = "fast") -> None:
        """Remove the container, after a shutdown unless `mode` is "immediate"; the data stays."""
        if mode == "fast":
            self.engine.run("stop", "-t", str(_STOP_SECONDS), self.name)
        self.engine.run("rm", "--force", "--volumes", self.name)

    def delete(self) -> None:
        """Remove the container and its data."""
        self.stop("immediate")
        for volume in (self.name, self._keys):
            self.engine.run("volume", "rm", "--force", volume)

    def is_running(self) -> bool:
        """Return whether the container runs; it does not where the engine does not answer."""
        try:
            done = self.engine.run("container", "inspect", "--format", "{{.State.Running}}", self.name)
        except UnreachableError:
            return False
        return done.stdout.strip() == b"true"

    @property
    def follow_log(self) -> list[str]:
        """Return the command that prints the server's log as it grows, from the container's start."""
        return [self.engine.program, "logs", "--follow", self.name]

    @property
    def _keys(self) -> str:
        return f"{self.name}-keys"

    def _start(self, image: str, found: "_Image", variables: dict[str, str]) -> None:
        self.stop("immediate")
        environment = {
            "PGPORT": str(self.port),
            # pg_cron's launcher connects to the server itself and finds the job role's password here
            "PGPASSFILE": f"{found.data}/autosync.pgpass",
            **variables,
        }
        given = self.folder / "container.env"  # not an argument: those are visible to every user
        cluster.write(given, "".join(f"{name}={value}\n" for name, value in environment.items()), mode=0o600)
        volumes = ["--volume", f"{self.name}:{found.data}"]
        if found.is_prepared:
            volumes += ["--volume", f"{self._keys}:{_PREPARED}"]
        try:
            self.engine.demand(
                "create", "--name", self.name, "--label", f"{_LABEL}={self.folder.parent}", "--network", "host",
                "--shm-size", "256m", *self.engine.limits, "--env-file", str(given), *volumes,
                image, *found.command, *self._settings(found),
            )  # fmt: skip
        finally:
            given.unlink()
        self.engine.demand("cp", "-", f"{self.name}:/", stdin=self._files(found))
        self.engine.demand("start", self.name)
        self._await(self.passwords[SUPERUSER])

    def _settings(self, found: "_Image") -> list[str]:
        values = cluster.settings(self.port, stand_in=self.stand_in, scripts=f"{_FILES}/extensions")
        values["hba_file"] = f"{_FILES}/pg_hba.conf"
        if found.is_prepared:
            values = {name: values[name] for name in ("listen_addresses", "port", "cron.host", "hba_file")}
        elif not found.has("pgextwlist"):
            values = {
                name: value
                for name, value in values.items()
                if name != "session_preload_libraries" and not name.startswith("extwlist.")
            }
        return [part for name, value in values.items() for part in ("-c", f"{name}={value}")]

    def _files(self, found: "_Image") -> bytes:
        """Return what the server needs beside its data, as an archive to unpack at the root; no secret is in it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w") as tar:

            def add(name: str, content: bytes) -> None:
                entry = tarfile.TarInfo(name.lstrip("/"))
                entry.size, entry.mode = len(content), 0o644
                tar.addfile(entry, io.BytesIO(content))

            for name in (_FILES, f"{_FILES}/extensions", *(f"{_FILES}/extensions/{one}" for one in _EXTENSIONS)):
                folder = tarfile.TarInfo(name.lstrip("/"))
                folder.type, folder.mode = tarfile.DIRTYPE, 0o755
                tar.addfile(folder)
            # the image's first start prepares the server through its socket
            add(
                f"{_FILES}/pg_hba.conf",
                f"local all all scram-sha-256\nhost all all {HOST}/32 scram-sha-256\n".encode(),
            )
            for one in _EXTENSIONS:
                add(f"{_FILES}/extensions/{one}/after-create.sql", _after_create(one).encode())
            if self.stand_in:
                with installation.stand_in_files() as files:
                    for file in files:
                        add(f"{found.share}/extension/{file.name}", file.read_bytes())
        return packed.getvalue()

    def _await(self, password: str) -> None:
        """Return when the server accepts connections on its port."""
        said = ""
        deadline = time.monotonic() + _READY_SECONDS
        while time.monotonic() < deadline:
            try:
                with psycopg.connect(
                    host=HOST, port=self.port, user=SUPERUSER, password=password, dbname="postgres", connect_timeout=5
                ):
                    return
            except psycopg.OperationalError as error:
                said = str(error).strip().splitlines()[-1]
            if not self.is_running():
                raise UnreachableError(f"the container {self.name} ended: {self._tail()}", hint=self._hint)
            time.sleep(0.1)
        raise UnreachableError(
            f"the container {self.name} runs, and accepts no connection on {HOST}:{self.port}: {said}",
            hint="the engine's host network must be this machine's: with Docker Desktop turn on host networking in its"
            f" settings, with rootless Docker use Podman; {self._hint}",
        )

    @property
    def _hint(self) -> str:
        return f"read its log: {self.engine.program} logs {self.name}"

    def _tail(self) -> str:
        done = self.engine.run("logs", "--tail", "5", self.name)
        lines = (done.stdout + done.stderr).decode(errors="replace").splitlines()
        return " | ".join(line.strip() for line in lines if line.strip()) or "no output"


@dataclass(frozen=True, slots=True)
class _Image:
    """What is known of an image before a server runs in it."""

    command: list[str]
    data: str
    is_prepared: bool
    major: int | None
    share: str
    libraries: frozenset[str]

    @classmethod
    def look(cls, runner: Engine, name: str) -> "_Image":
        """Return what is in an image. Raises UsageError when it has no pg_cron."""
        settings = json.loads(runner.demand("image", "inspect", "--format", "{{json .Config}}", name))
        variables = dict(line.partition("=")[::2] for line in settings.get("Env") or [])
        command = ("run", "--rm", "--network", "none", *runner.limits, "--entrypoint", "sh", name, "-c", _LOOK)
        looked = runner.run(*command)
        if looked.returncode in _NOT_RUN:
            runner.demand(*command)  # raises, with what the engine says
        lines = looked.stdout.decode(errors="replace").splitlines()
        kind, version, share, *libraries = (*lines, "", "", "")[: max(3, len(lines))]
        digits = "".join(version.split()[1:2]).partition(".")[0]
        found = cls(
            command=settings.get("Cmd") or ["postgres"],
            data=variables.get("PGDATA") or "/var/lib/postgresql/data",
            is_prepared=kind == "prepared",
            major=int(digits) if digits.isdigit() else None,
            share=share,
            libraries=frozenset(libraries),
        )
        if not found.is_prepared and not found.has("pg_cron"):
            raise UsageError(
                f"the image {name} has no pg_cron",
                hint="leave out --image to use the project's own, or name one with PostgreSQL and pg_cron",
            )
        return found

    def has(self, library: str) -> bool:
        """Return whether a loadable module is in the image."""
        return f"{library}.so" in self.libraries


def create(folder: Path, *, runner: Engine, name: str, image: str | None, say: Callable[[str], None]) -> Container:
    """Create and start a server, with its password file in `folder`; a container of the same name is replaced.

    Raises UsageError when the image will not do, UnreachableError when it cannot be had or does not start.
    """
    actual = _image(runner, image, say)
    found = _Image.look(runner, actual)
    say(f"creating a private PostgreSQL in a container of {actual}")
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    passwords = cluster.new_passwords()
    # good for the first start only: the engine shows a container's variables to whoever may use it
    first = {**passwords, SUPERUSER: secrets.token_urlsafe(24)}
    stand_in = not found.is_prepared and not found.has("pg_net")
    port = cluster.free_port()
    made = Container(folder, port, 0, stand_in, first, runner, name, image)
    made.delete()
    variables = {
        "POSTGRES_USER": SUPERUSER,
        "POSTGRES_PASSWORD": first[SUPERUSER],
        "POSTGRES_DB": "postgres",
    }
    for volume in (name, made._keys) if found.is_prepared else (name,):
        runner.demand("volume", "create", "--label", f"{_LABEL}={folder.parent}", volume)
    made._start(actual, found, variables)
    with psycopg.connect(made.url(SUPERUSER).reveal(), autocommit=True) as connection:
        major = connection.info.server_version // 10000
        _prepare(connection, actual, found)
        runner.demand(
            "exec", "--interactive", "--user", "postgres", name,
            "sh", "-c", 'umask 077 && cat >"$0"', f"{found.data}/autosync.pgpass",
            stdin=cluster.password_lines(passwords).encode(),
        )  # fmt: skip
        cluster.set_passwords(connection, passwords)
    cluster.write(made.password_file, cluster.password_lines(passwords), mode=0o600)
    return Container(folder, port, major, stand_in, passwords, runner, name, image)


def _image(runner: Engine, name: str | None, say: Callable[[str], None]) -> str:
    """Return the name of an image that is here, pulled or built if it was not."""
    if name is None:
        return engine.build(runner, say=say)
    if not runner.has_image(name):
        say(f"pulling {name}")
        runner.demand("pull", name, patience=engine.BUILD_SECONDS)
    return name


def _prepare(connection: "psycopg.Connection[tuple[object, ...]]", image: str, found: _Image) -> None:
    """Make what a hosted project has, where the image did not bring it."""
    available = connection.execute(
        "select count(*) from pg_catalog.pg_available_extensions where name = any(%s)", [list(_EXTENSIONS)]
    ).fetchone()
    if available != (len(_EXTENSIONS),):
        raise UsageError(f"the image {image} lacks pg_cron or pg_net", hint="leave out --image")
    if connection.execute("select from pg_catalog.pg_roles where rolname = 'anon'").fetchone() is None:
        cluster.create_roles(connection, open_default_privileges=False)
    if not found.is_prepared and not found.has("pgextwlist"):
        # nothing lets the owner create them, so they are there from the start
        for name in _EXTENSIONS:
            connection.execute(resources.read(f"sql/extensions/{name}.sql").encode())
            connection.execute(_after_create(name).encode())


def _after_create(extension: str) -> str:
    return resources.read(f"autosync_db/local/extensions/{extension}/after-create.sql")
