"""Background processes that outlive the command that started them, and are only ever ended by it."""

import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil

_STOP_SECONDS = 10
_INHERITED = {
    *("PATH", "HOME", "LANG", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS"),
    # where the container engine is
    *("XDG_RUNTIME_DIR", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "CONTAINER_HOST"),
}


@dataclass(frozen=True, slots=True)
class Process:
    """A process that was started here; `started` distinguishes it from another that got the same id later."""

    pid: int
    started: float

    def is_running(self) -> bool:
        """Return whether this very process still runs."""
        return self._find() is not None

    def stop(self) -> None:
        """End the process and its children; return once they are gone."""
        found = self._find()
        if found is None:
            return
        family = [found, *found.children(recursive=True)]
        for member in family:
            _quietly(member.terminate)
        _, stubborn = psutil.wait_procs(family, timeout=_STOP_SECONDS)
        for member in stubborn:
            _quietly(member.kill)
        psutil.wait_procs(stubborn, timeout=_STOP_SECONDS)

    def _find(self) -> psutil.Process | None:
        try:
            found = psutil.Process(self.pid)
            if found.create_time() == self.started and found.status() != psutil.STATUS_ZOMBIE:
                return found
        except psutil.NoSuchProcess:
            pass
        return None


def start(command: Sequence[str], *, environment: Mapping[str, str], log: Path, folder: Path) -> Process:
    """Start a process in a session of its own, with its output appended to `log`.

    The caller's environment is not inherited but for what finding programs and certificates takes: it may hold keys.
    """
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name in _INHERITED or name.lower().startswith(("deno_", "npm_config_")) or name.lower().endswith("_proxy")
    }
    with log.open("ab") as output:
        child = subprocess.Popen(
            list(command),
            env=inherited | dict(environment),
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return Process(child.pid, psutil.Process(child.pid).create_time())


def _quietly(action: Callable[[], object]) -> None:
    with suppress(psutil.NoSuchProcess):
        action()
