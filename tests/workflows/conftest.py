"""CI files as they are written, and the project that their commands run on."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from autosync_db import config
from autosync_db.local.cluster import Cluster
from autosync_db.scaffold import workflow
from tests.support import health
from tests.support.health import LiveProject
from tests.support.http_stub import Stub

WORKFLOW = workflow.PATHS["github"]


@dataclass(frozen=True, slots=True)
class Runner:
    """What a CI system gives to a step: a shell, programs, and an environment of its own."""

    folder: Path

    @property
    def summary(self) -> Path:
        """Return the file of the job's summary."""
        return self.folder / "summary"

    @property
    def outputs(self) -> Path:
        """Return the file of the step's outputs."""
        return self.folder / "outputs"

    @property
    def programs(self) -> Path:
        """Return the first folder of PATH."""
        return self.folder / "bin"

    def install(self, name: str, script: str) -> None:
        """Put a shell script into PATH."""
        path = self.programs / name
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    def records_calls(self) -> Path:
        """Write down what autosync-db is called with, a line for each call, and return the file."""
        calls = self.folder / "autosync-db-calls"
        path = self.programs / "autosync-db"
        path.write_text(path.read_text().replace("exec", f"printf '%s\\n' \"$*\" >> '{calls}'\nexec"))
        return calls

    def environment(self, cluster: Cluster | None, variables: Mapping[str, str]) -> dict[str, str]:
        """Return the whole environment of a step."""
        given = {
            "PATH": f"{self.programs}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "GITHUB_STEP_SUMMARY": str(self.summary),
            "GITHUB_OUTPUT": str(self.outputs),
            "RUNNER_TEMP": str(self.folder),
            "AS_TEXT": "",
        }
        if cluster is not None:
            given["AUTOSYNC_DATABASE_URL"] = cluster.url().reveal()
        return given | dict(variables)

    def run(
        self, script: str, cluster: Cluster | None = None, variables: Mapping[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run the text of a step as GitHub runs it with `shell: bash`."""
        for path in (self.summary, self.outputs):
            path.write_text("")
        return subprocess.run(
            ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
            env=self.environment(cluster, variables or {}),
            check=False, capture_output=True, text=True, timeout=90,
        )  # fmt: skip


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    """A runner on which autosync-db is installed."""
    made = Runner(tmp_path / "runner")
    made.programs.mkdir(parents=True)
    made.install("autosync-db", f'exec "{sys.executable}" -m autosync_db "$@"')
    return made


def write(kind: workflow.Kind, **options: Any) -> workflow.Workflow:
    """Write a file for CI from the settings of the current folder."""
    return workflow.write_workflow(kind, *config.read(config.Flags()), **options)


def written(**options: Any) -> dict[str, Any]:
    """Write the GitHub workflow and return it parsed."""
    write("github", **options)
    found: dict[str, Any] = yaml.safe_load(WORKFLOW.read_text(encoding="utf-8"))
    return found


def steps(workflow: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return every step that runs something, by its name."""
    return {step["name"]: step for job in workflow["jobs"].values() for step in job["steps"] if "run" in step}


@pytest.fixture
def project(migrated: Cluster, stub: Stub) -> Iterator[LiveProject]:
    """A healthy project of the test's own."""
    with health.launcher_that_counts_as_settled(), health.healthy(migrated, stub) as made:
        yield made
