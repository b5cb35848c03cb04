"""A private PostgreSQL cluster with Supabase's roles, pg_cron and pg_net, on a loopback port.

Everything lies in one folder that can be deleted. Every role has a random password; pg_cron's own connections take
theirs from a password file, so no rule trusts anybody.
"""

import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from psycopg import sql

from autosync_db import resources
from autosync_db.errors import UnreachableError
from autosync_db.local import installation
from autosync_db.local.installation import Installation
from autosync_db.secret import Secret

SUPERUSER = "supabase_admin"
LOGIN_ROLES = (SUPERUSER, "postgres", "authenticator")
HOST = "127.0.0.1"
_STOP_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Server:
    """A server on a loopback port, whatever runs it; what the host keeps of it is in `folder`."""

    folder: Path
    port: int
    major: int
    stand_in: bool
    passwords: dict[str, str] = field(repr=False)

    @property
    def log(self) -> Path:
        """Return the server's log file."""
        return self.folder / "postgres.log"

    @property
    def password_file(self) -> Path:
        """Return the libpq password file of the cluster's roles."""
        return self.folder / "pgpass"

    def url(self, role: str = "postgres", database: str = "postgres") -> Secret:
        """Return the connection URL of `role`."""
        return Secret(f"postgresql://{role}:{quote(self.passwords[role])}@{HOST}:{self.port}/{database}")

    def environment(self, role: str) -> dict[str, str]:
        """Return libpq's variables for a child process that connects as `role`."""
        return {
            "PGHOST": HOST,
            "PGPORT": str(self.port),
            "PGUSER": role,
            "PGDATABASE": "postgres",
            "PGPASSFILE": str(self.password_file),
        }


@dataclass(frozen=True, slots=True)
class Cluster(Server):
    """A cluster of this machine's PostgreSQL under `folder`; methods start and stop it."""

    @property
    def installation(self) -> Installation:
        """Return the private installation that runs this cluster."""
        return Installation(self.major, self.folder / "install")

    @property
    def data(self) -> Path:
        """Return the data directory."""
        return self.folder / "data"

    def start(self) -> None:
        """Start the server and wait until it accepts connections. Raises UnreachableError with the log's tail."""
        self._write_settings()
        done = self._run("pg_ctl", "start", "-w", "-t", "60", "-D", str(self.data), "-l", str(self.log))
        if done.returncode != 0:
            tail = self.log.read_text(errors="replace").splitlines()[-5:] if self.log.exists() else []
            raise UnreachableError(
                "the local PostgreSQL did not start: " + (" | ".join(tail) or done.stdout.strip()),
                hint=f"read {self.log}",
            )

    def stop(self, mode: str = "fast") -> None:
        """Stop the server if it runs; after a shutdown, or at once if `mode` is "immediate".

        Raises UnreachableError when it does not end.
        """
        pid = self._pid()
        if pid is None:
            return
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT if mode == "fast" else signal.SIGQUIT)
        deadline = time.monotonic() + _STOP_SECONDS
        while self._pid() == pid:
            if time.monotonic() > deadline:
                raise UnreachableError(f"the local PostgreSQL, process {pid}, does not stop", hint=f"read {self.log}")
            time.sleep(0.01)

    def is_running(self) -> bool:
        """Return whether the server of this data directory runs."""
        return self._pid() is not None

    def reload(self) -> None:
        """Make the server read its settings again."""
        if (pid := self._pid()) is not None:
            os.kill(pid, signal.SIGHUP)

    def _pid(self) -> int | None:
        """Return the server's process id, which it removes from its file when it ends."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split()[0])
            os.kill(pid, 0)
        except (FileNotFoundError, IndexError, ProcessLookupError):
            return None
        except PermissionError:
            pass  # it is another user's
        return pid

    def _run(self, program: str, *arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        environment = {
            "PATH": os.environ.get("PATH", "/usr/bin"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            # pg_cron's launcher connects to the server itself and finds the job role's password here
            "PGPASSFILE": str(self.password_file),
        }
        log = self.folder / "pg_ctl.log"
        with log.open("w") as output:  # a pipe would be inherited by the server and never close
            done = subprocess.run(
                [str(self.installation.bin / program), *arguments],
                cwd=self.folder,
                env=environment,
                stdout=output,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                text=True,
                check=False,
                **server_user(),
                **options,
            )
        done.stdout = log.read_text(errors="replace")
        return done

    def _write_settings(self) -> None:
        values = settings(self.port, stand_in=self.stand_in, scripts=str(self.folder / "extensions"))
        # clients of the data directory's own machine have the port
        values["unix_socket_directories"] = ""
        text = "".join(f"{name} = '{value}'\n" for name, value in values.items())
        write(self.data / "conf.d" / "autosync.conf", text)


def settings(port: int, *, stand_in: bool, scripts: str) -> dict[str, str]:
    """Return the server's settings; `scripts` is where it finds what follows the creation of an extension."""
    return {
        "listen_addresses": HOST,
        "port": str(port),
        "shared_preload_libraries": "pg_cron" if stand_in else "pg_cron,pg_net",
        "session_preload_libraries": "pgextwlist",
        "extwlist.extensions": "pg_cron,pg_net",
        "extwlist.custom_path": scripts,
        "cron.database_name": "postgres",
        "cron.host": HOST,
        "pg_net.username": "postgres",
        # their defaults; spelled out so that the stand-in, which has no library, can be configured too
        "pg_net.ttl": "6 hours",
        "pg_net.batch_size": "200",
        "max_connections": "100",
        "max_worker_processes": "16",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %q%u@%d/%a ",
        "password_encryption": "scram-sha-256",
    }


def create(
    folder: Path,
    *,
    major: int | None = None,
    open_default_privileges: bool = False,
    stand_in: bool | None = None,
    durable: bool = True,
) -> Cluster:
    """Create and start a cluster in `folder`, which must be empty or absent.

    `open_default_privileges` chooses the grants of projects made before 2026-05-30. `stand_in` None means: only
    when pg_net itself is not installed. `durable` False trades crash safety for speed.
    """
    source = installation.find(major)
    uses_stand_in = not source.has_real_pg_net if stand_in is None else stand_in
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    installation.copy(source, folder / "install", stand_in=uses_stand_in)
    with resources.folder("autosync_db/local/extensions") as scripts:
        shutil.copytree(scripts, folder / "extensions")
    passwords = new_passwords()
    cluster = Cluster(folder, free_port(), source.major, uses_stand_in, passwords)
    write(cluster.password_file, password_lines(passwords), mode=0o600)
    password = folder / "initdb.password"
    write(password, passwords[SUPERUSER], mode=0o600)
    give_to_server(folder)
    done = cluster._run(
        "initdb", "-D", str(cluster.data), "-U", SUPERUSER, "-A", "scram-sha-256",
        f"--pwfile={password}", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync",
        *(() if durable else ("--wal-segsize=1",)),  # a copy is half as large
    )  # fmt: skip
    if done.returncode != 0:
        raise UnreachableError(
            "initdb failed: " + done.stdout.strip().splitlines()[-1], hint=f"read {folder / 'pg_ctl.log'}"
        )
    password.unlink()
    (cluster.data / "conf.d").mkdir()
    with (cluster.data / "postgresql.conf").open("a") as file:
        file.write("include_dir = 'conf.d'\n")
        if not durable:
            file.write("fsync = off\nsynchronous_commit = off\nfull_page_writes = off\n")
    write(cluster.data / "pg_hba.conf", f"host all all {HOST}/32 scram-sha-256\n")
    give_to_server(folder)
    cluster.start()
    with psycopg.connect(cluster.url(SUPERUSER).reveal(), autocommit=True) as connection:
        create_roles(connection, open_default_privileges=open_default_privileges)
        set_passwords(connection, {role: passwords[role] for role in LOGIN_ROLES[1:]})
    return cluster


def new_passwords() -> dict[str, str]:
    """Return a random password for each role that may log in."""
    return {role: secrets.token_urlsafe(24) for role in LOGIN_ROLES}


def password_lines(passwords: dict[str, str]) -> str:
    """Return the content of a libpq password file."""
    return "".join(f"*:*:*:{role}:{password}\n" for role, password in passwords.items())


def create_roles(connection: psycopg.Connection[Any], *, open_default_privileges: bool) -> None:
    """Give a new server, as its superuser, the roles, schemas and grants of a hosted project."""
    statements = resources.render("autosync_db/local/supabase.sql.j2", open_default_privileges=open_default_privileges)
    connection.execute(statements.encode())


def set_passwords(connection: psycopg.Connection[Any], passwords: dict[str, str]) -> None:
    """Set the passwords of roles, as superuser."""
    for role, password in passwords.items():
        connection.execute(sql.SQL("alter role {} password {}").format(sql.Identifier(role), sql.Literal(password)))


def free_port() -> int:
    """Return a loopback port that nothing listens on right now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def server_user() -> dict[str, Any]:
    """Return subprocess options that drop root, under which PostgreSQL refuses to run; empty for an ordinary user."""
    if os.geteuid() != 0:
        return {}
    account = _server_account()
    return {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


def server_can_enter(folder: Path) -> bool:
    """Return whether the user that runs the server may reach into `folder`."""
    probe = subprocess.run(["/usr/bin/test", "-x", str(folder)], check=False, cwd="/", **server_user())
    return probe.returncode == 0


def give_to_server(folder: Path) -> None:
    """Make the server's user the owner of everything in `folder`; nothing to do for an ordinary user."""
    if os.geteuid() != 0:
        return
    account = _server_account()
    os.chown(folder, account.pw_uid, account.pw_gid)
    for parent, folders, files in os.walk(folder):
        for name in (*folders, *files):
            os.chown(Path(parent, name), account.pw_uid, account.pw_gid, follow_symlinks=False)


def _server_account() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise UnreachableError(
        "PostgreSQL does not run as root and there is no user 'postgres' or 'nobody' to run it as",
        hint="create one with: useradd --system postgres",
    )


def write(path: Path, text: str, mode: int = 0o644) -> None:
    """Replace a file; as root it belongs to whom its folder belongs."""
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid)
