"""The plain shell variant, run as any CI system would run it."""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from autosync_db.local.cluster import Cluster
from autosync_db.scaffold import workflow
from tests.support import command, tools
from tests.support.health import LiveProject
from tests.workflows.conftest import Runner, write

SCRIPT = workflow.PATHS["shell"]


def ci(
    runner: Runner, argument: str, cluster: Cluster | None, variables: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run the script with one argument."""
    write("shell")
    return subprocess.run(
        [str(SCRIPT.absolute()), argument],
        env=runner.environment(cluster, variables or {}),
        check=False, capture_output=True, text=True, timeout=90,
    )  # fmt: skip


def test_it_is_executable_and_passes_shellcheck() -> None:
    shellcheck = tools.find("shellcheck", Path(sys.executable).parent, install="install it: make setup")
    # the second ticks too seldom for a check that waits
    for job in ("", '[jobs.report]\nfunction = "report"\nschedule = "0 6 * * *"\n'):
        Path("autosync.toml").write_text(f'{job}[targets.production]\ndatabase_url_env = "OUR_DATABASE"\n')
        write("shell", target="production", secret="OTHER_NAME", force=True)
        assert os.access(SCRIPT, os.X_OK)
        done = subprocess.run([str(shellcheck), str(SCRIPT)], check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout
        # the shell of a small image, too
        assert subprocess.run(["sh", "-n", str(SCRIPT)], check=False).returncode == 0


def test_without_the_secret_it_says_which(runner: Runner) -> None:
    done = ci(runner, "check", None)
    assert done.returncode == 2
    assert "error: AUTOSYNC_DATABASE_URL is not set" in done.stderr


def test_an_old_python_is_named_before_anything_is_installed(tmp_path: Path) -> None:
    write("shell")
    for name in ("python3", "dirname"):
        (tmp_path / name).write_text("#!/bin/sh\n" + ("exit 1\n" if name == "python3" else "echo .\n"))
        (tmp_path / name).chmod(0o755)
    shell = shutil.which("sh")
    assert shell is not None
    done = subprocess.run(
        [shell, str(SCRIPT), "check"],
        env={"PATH": str(tmp_path), "AUTOSYNC_DATABASE_URL": "postgresql://h/db"},
        check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, "error: autosync-db needs Python 3.11" in done.stderr) == (2, True)


def test_an_unknown_word_is_answered_with_the_usage(runner: Runner, shared: Cluster) -> None:
    done = ci(runner, "chekc", shared)
    assert done.returncode == 2
    assert "check|deploy|verify" in done.stderr


@pytest.mark.long
def test_check_shows_what_is_pending_and_fails_for_what_cannot_be_done(runner: Runner, blank: Cluster) -> None:
    done = ci(runner, "check", blank)
    assert done.returncode == 0, done.stderr
    assert "revision  0001" in done.stdout
    assert "auto-sync-cron-job  create" in done.stdout
    nowhere = {"AUTOSYNC_DATABASE_URL": "postgresql://postgres@127.0.0.1:1/postgres"}
    assert ci(runner, "check", None, nowhere).returncode == 4


@pytest.mark.long
def test_it_works_from_any_folder_with_the_settings_and_the_name_of_the_secret(
    runner: Runner, shared: Cluster, tmp_path: Path
) -> None:
    Path("sync.toml").write_text('[targets.main]\ndatabase_url_env = "DB"\n')
    done = command.run("scaffold", "workflow", "--kind", "shell", "--config", "sync.toml", "--secret", "OUR_DB")
    assert "OUR_DB: the database's address of the target main" in command.succeeds(done).err
    checked = subprocess.run(
        [str(SCRIPT.absolute()), "check"],
        env=runner.environment(None, {"OUR_DB": shared.url().reveal()}),
        cwd=tmp_path, check=False, capture_output=True, text=True, timeout=90,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stderr
    assert "nothing to do: the database is at " in checked.stderr


@pytest.mark.long
def test_deploy_migrates_waits_for_a_tick_and_verifies(runner: Runner, project: LiveProject) -> None:
    runner.install("notify", 'echo "$1" >> "$HOME/notified"; cat >> "$HOME/notified"')
    done: list[subprocess.CompletedProcess[str]] = []
    variables = {"AUTOSYNC_ALERT": "notify", "AUTOSYNC_JUNIT": str(runner.folder / "junit.xml")}
    thread = threading.Thread(target=lambda: done.append(ci(runner, "deploy", project.cluster, variables)))
    before = project.value("select max(id) from autosync.tick")
    thread.start()
    while thread.is_alive():
        # ticks as pg_cron makes them, until the one that the script waits for has come
        project.call()
        thread.join(timeout=1)
    assert done[0].returncode == 0, done[0].stdout + done[0].stderr
    assert project.value("select max(id) from autosync.tick") > before
    notified = (runner.folder / "notified").read_text()
    assert notified.startswith("healthy\n")
    assert "checks" in notified
    assert (runner.folder / "junit.xml").read_text().startswith("<?xml")


@pytest.mark.long
def test_verify_fails_and_runs_the_alert_while_something_is_wrong(runner: Runner, project: LiveProject) -> None:
    runner.install("notify", 'echo "$1" >> "$HOME/notified"; cat >> "$HOME/notified"')
    project.owner.execute("delete from public.pg_cron_secrets")
    done = ci(runner, "verify", project.cluster, {"AUTOSYNC_ALERT": "notify"})
    assert done.returncode == 3
    assert "secrets_present" in done.stdout
    notified = (runner.folder / "notified").read_text()
    assert notified.startswith("failing\n")
    assert "secrets_present" in notified
    # an alert that does not work hides nothing
    runner.install("notify", "exit 1")
    assert ci(runner, "verify", project.cluster, {"AUTOSYNC_ALERT": "notify"}).returncode == 3
