"""Commands in processes of their own that begin with everything imported, for what takes two of them or a kill."""

import multiprocessing
import os
import sys
import time
from dataclasses import dataclass
from multiprocessing.context import ForkServerContext, ForkServerProcess
from pathlib import Path

from autosync_db import cli
from autosync_db.health.checks import pg_cron_scheduler_running
from autosync_db.jobs import calls
from autosync_db.secret import Secret
from tests.chaos.ground import Ground
from tests.support import command
from tests.support.command import Result

_PRELOADED = (
    "tests.chaos.children", "autosync_db.cli.setup", "autosync_db.cli.migrate", "autosync_db.cli.teardown",
    "autosync_db.cli.rotate", "autosync_db.cli.repair", "autosync_db.cli.verify", "autosync_db.cli.audit",
    "autosync_db.cli.plan", "autosync_db.cli.jobs", "autosync_db.setup.run", "autosync_db.setup.teardown",
    "autosync_db.setup.adopting", "autosync_db.setup.releasing", "autosync_db.health.repair",
    "autosync_db.health.verify", "autosync_db.health.audit", "autosync_db.credentials.rotation",
    "alembic.command", "jinja2", "httpx", "jwt", "tenacity", "sqlalchemy.dialects.postgresql.psycopg",
)  # fmt: skip


def context() -> ForkServerContext:
    """Return where such processes begin."""
    found = multiprocessing.get_context("forkserver")
    found.set_forkserver_preload([*_PRELOADED])
    return found


def _child(arguments: list[str], variables: dict[str, str], folder: str, place: str, moment: float) -> None:
    """What a process does: one command, with its output in files, not before a moment of the monotonic clock."""
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        os.dup2(os.open(f"{place}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), stream.fileno())
    calls._POLL_SECONDS = 0.02
    pg_cron_scheduler_running.YOUNG_SECONDS = 0.0
    time.sleep(max(0.0, moment - time.monotonic()))
    cli.app(arguments, prog_name="autosync-db")


@dataclass
class Running:
    """A command under way."""

    process: ForkServerProcess
    place: Path

    def kill(self) -> None:
        """End it, without a word to it."""
        self.process.kill()

    def ended(self, seconds: float = 90) -> Result:
        """Return what it left once it has ended. Fails where it does not end in time."""
        self.process.join(seconds)
        if self.process.exitcode is None:
            self.process.kill()
            raise AssertionError(f"it did not end in {seconds:g} s: {self.place.with_suffix('.err').read_text()}")
        texts = [path.read_text() if path.exists() else "" for path in map(self.place.with_suffix, (".out", ".err"))]
        return Result(self.process.exitcode, *texts)


def start(
    ground: Ground,
    line: str,
    *,
    context: ForkServerContext,
    url: Secret | None = None,
    moment: float = 0.0,
    variables: dict[str, str] | None = None,
) -> Running:
    """Begin a command line on a project in a process of its own."""
    arguments = ground.arguments(line)
    place = ground.folder / f"child-{time.monotonic_ns()}"
    chosen = command.environment(url or ground.cluster.url(), {**ground.variables(arguments), **(variables or {})})
    process = context.Process(target=_child, args=(arguments, chosen, str(ground.folder), str(place), moment))
    process.start()
    return Running(process, place)
