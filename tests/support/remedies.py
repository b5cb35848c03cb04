"""Run a remedy as it was printed: a command in this process, statements in psql."""

import contextlib
import dataclasses
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from unittest import mock

from autosync_db import connection
from autosync_db.cli.console import Session
from autosync_db.health.model import CheckResult
from autosync_db.remedies import Kind
from tests.support import command
from tests.support.command import Result
from tests.support.health import NEVER, LiveProject, Project
from tests.support.trial import Trial

TARGET, CONFIG, VARIABLE = "shop", "settings of the shop.toml", "SHOP_DATABASE"


def choose_target(project: Project, settings: str = f'[job]\nschedule = "{NEVER}"\n') -> None:
    """Let verify speak of a project as if it had been run with a target and a settings file."""
    text = f'{settings}[targets.{TARGET}]\ndatabase_url_env = "{VARIABLE}"\n'
    Path(CONFIG).write_text(text)
    options = (("--target", TARGET), ("--config", CONFIG))
    project.configuration = dataclasses.replace(project.configuration, options=options)


def run(
    project: Project,
    result: CheckResult,
    given: Mapping[str, str] | None = None,
    *,
    role: str = "postgres",
) -> None:
    """Run what verify printed, `given` in the places of its capital words; a superuser runs what is for one.

    Nothing but the printed options says which database is meant: no variable that is read without them is set.
    """
    remedy, kind = result.remedy, result.remedy_kind
    assert remedy is not None
    for word, text in (given or {}).items():
        assert f" {word}" in remedy, remedy
        remedy = remedy.replace(f" {word}", f" {text}")
    if kind is Kind.SQL:
        assert isinstance(project, LiveProject)
        by_psql(project, remedy, "supabase_admin" if "a superuser" in remedy else "postgres")
        return
    assert kind is Kind.COMMAND, remedy
    program, *arguments = shlex.split(remedy, comments=True)
    assert program == "autosync-db", remedy
    done = run_command(project, *arguments, role=role)
    assert not done.errors, f"{remedy}\n{done.out}\n{done.err}"


def run_command(project: Project, *arguments: str, role: str = "postgres", agrees: bool = True) -> Result:
    """Run a command on the database that its options name, with a user at the terminal who agrees to all."""
    with ExitStack() as stack:
        if agrees:
            stack.enter_context(mock.patch.object(Session, "can_ask", True))
            stack.enter_context(mock.patch.object(Session, "agrees", return_value=True))
            # what has a default keeps it
            stack.enter_context(mock.patch.object(Session, "ask", return_value=""))
        if isinstance(project, Trial):
            stack.enter_context(_in_the_transaction(project, role))
        return command.run(*arguments, variables={VARIABLE: project.cluster.url(role).reveal()})


def by_psql(project: LiveProject, statements: str, role: str) -> None:
    """Run statements as they are, each in a transaction of its own."""
    subprocess.run(
        [str(project.cluster.installation.bin / "psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-"],
        env=project.cluster.environment(role),
        input=statements + "\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )


@contextmanager
def _in_the_transaction(project: Trial, role: str) -> Iterator[None]:
    """Let commands work in the transaction of a trial, whatever module holds the way to connect."""

    @contextmanager
    def connect(_url: object) -> Iterator[connection.Connection]:
        project.session.execute("select pg_stat_clear_snapshot()")
        yield project.acting_as(role)

    genuine = connection.connect
    with ExitStack() as stack:
        for name, module in list(sys.modules.items()):
            if name.startswith("autosync_db") and getattr(module, "connect", None) is genuine:
                stack.enter_context(mock.patch.object(module, "connect", connect))
        yield


@contextlib.contextmanager
def written(name: str, text: str) -> Iterator[str]:
    """Write a file for the time of the block."""
    path = Path(name)
    path.write_text(text + "\n")
    try:
        yield name
    finally:
        path.unlink()
