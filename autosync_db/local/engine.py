"""Docker or Podman, through its command line, and the project's own image for it."""

import hashlib
import resource
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from autosync_db import resources
from autosync_db.errors import UnreachableError, UsageError

Program = Literal["docker", "podman"]
# never looked up anywhere: a name without a host could be somebody else's image
_IMAGE = "localhost/autosync-db/postgres"
_BASE = "localhost/autosync-db/base:trixie"
_CONTEXT = "autosync_db/local/docker"
_SECONDS = 120
BUILD_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Engine:
    """A container engine that answers."""

    program: Program

    def run(
        self, *arguments: str, stdin: bytes | None = None, patience: float = _SECONDS
    ) -> subprocess.CompletedProcess[bytes]:
        """Run one command of the engine to its end, whatever its exit status.

        Raises UnreachableError when there is no such program (any more), or it takes longer than `patience` seconds.
        """
        try:
            return subprocess.run(  # a secret is never among the arguments
                [self.program, *arguments],
                input=stdin if stdin is not None else b"",
                capture_output=True,
                check=False,
                timeout=patience,
            )
        except (FileNotFoundError, subprocess.TimeoutExpired) as error:
            wrong = "is not installed" if isinstance(error, FileNotFoundError) else f"hangs at `{arguments[0]}`"
            raise UnreachableError(f"{self.program} {wrong}", hint=f"see what it says: {self.program} info") from None

    def demand(self, *arguments: str, stdin: bytes | None = None, patience: float = _SECONDS) -> str:
        """Run one command of the engine and return what it prints. Raises UnreachableError when it fails."""
        done = self.run(*arguments, stdin=stdin, patience=patience)
        if done.returncode != 0:
            raise UnreachableError(
                f"{self.program} {arguments[0]} failed: {_last_line(done.stderr or done.stdout)}",
                hint=f"see what it says: {self.program} info",
            )
        return done.stdout.decode(errors="replace")

    @property
    def limits(self) -> list[str]:
        """Return options that ask for no more files and processes than this process may have itself.

        Podman's own choice is higher, which is refused where root is not all-powerful (in another container, say).
        """
        numbers = Path("/proc/sys/kernel/pid_max")
        if self.program == "docker" or not numbers.exists():
            return []  # the daemon, or the virtual machine, has limits of its own
        files, processes = (resource.getrlimit(kind)[1] for kind in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        most = int(numbers.read_text())  # podman lowers its own limit to that
        processes = most if processes == resource.RLIM_INFINITY else min(processes, most)
        return [f"--ulimit=nofile={files}:{files}", f"--ulimit=nproc={processes}:{processes}"]

    def has_image(self, name: str) -> bool:
        """Return whether an image of that name is here."""
        return self.run("image", "inspect", name).returncode == 0


def find(program: Program | None = None) -> Engine:
    """Return the engine that answers: the one asked for, or Docker before Podman.

    Raises UsageError when none is installed, UnreachableError when none of those installed answers.
    """
    wanted: tuple[Program, ...] = (program,) if program else ("docker", "podman")
    installed = [name for name in wanted if shutil.which(name)]
    if not installed:
        raise UsageError(
            f"{' or '.join(wanted)} is not installed, and a database in a container needs it",
            hint="install it, e.g. sudo apt-get install podman; or use --engine system",
        )
    said = ""
    for name in installed:
        # for Docker, `info` succeeds only if the daemon answers
        done = Engine(name).run("info")
        if done.returncode == 0:
            return Engine(name)
        said = said or f"{name}: {_last_line(done.stderr)}"
    raise UnreachableError(
        f"no container engine answers ({said})",
        hint=f"start it: sudo {'systemctl start docker' if installed[0] == 'docker' else 'podman info'}"
        "; or use --engine system",
    )


def build(engine: Engine, *, say: Callable[[str], None]) -> str:
    """Return the name of the project's own image, built first if this version of it is not there.

    Raises UnreachableError when it cannot be built, which needs Debian's base image and its package mirror.
    """
    with resources.folder(_CONTEXT) as context:
        digest = hashlib.sha256()
        for file in sorted(context.iterdir()):
            digest.update(file.read_bytes())
        image = f"{_IMAGE}:{digest.hexdigest()[:12]}"
        if engine.has_image(image):
            return image
        say("building the image of PostgreSQL and pg_cron (a minute)")
        base = ("--build-arg", f"BASE={_BASE}") if engine.has_image(_BASE) else ()
        done = engine.run("build", "--tag", image, *base, str(context), patience=BUILD_SECONDS)
        if done.returncode != 0:
            raise UnreachableError(
                f"the image could not be built: {_last_line(done.stderr or done.stdout)}",
                hint=f"build its base image {_BASE} (autosync-db explain containers) and repeat, or pass an image"
                " that has PostgreSQL and pg_cron: --image IMAGE",
            )
    return image


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode(errors="replace").splitlines() if line.strip()]
    return lines[-1] if lines else "no output"
