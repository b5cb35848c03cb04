"""The image of .ci/Dockerfile: built from the tree as it is, and run as a CI system runs it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from autosync_db.errors import AutosyncError
from autosync_db.local import engine
from autosync_db.local.cluster import Cluster
from autosync_db.local.engine import Engine

ROOT = Path(__file__).parents[2]
BASE = "localhost/autosync-db/base:trixie"  # of .ci/containers
PYTHON = "3.13"  # trixie's
IMAGE = f"localhost/autosync-db/cli:test-{os.getpid()}"
# stands for python:3.13-slim, which no registry gives here; the wheels are fetched outside, where mirrors are set up
STAND_IN = """
ARG BASE
FROM ${BASE}
RUN apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \\
    python3 python3-venv ca-certificates tzdata && rm -rf /var/lib/apt/lists/*
COPY wheels /wheels
ENV PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels
"""
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def docker() -> Engine:
    """Docker, with a Debian in which Python can be installed."""
    try:
        found = engine.find("docker")
    except AutosyncError as error:
        if os.environ.get("AUTOSYNC_TEST_CONTAINERS") == "1":
            raise
        pytest.skip(f"{error.message}: the image is not built here")
    if not found.has_image(BASE):
        assert os.environ.get("AUTOSYNC_TEST_CONTAINERS") != "1", f"{BASE} is not here, and was asked for"
        pytest.skip(f"{BASE} is not here; .ci/containers makes it")
    return found


def python_base(docker: Engine, folder: Path) -> str:
    """Return the name of an image with Python, made if it is not there."""
    lock = ROOT / ".ci/runtime.txt"
    base = json.loads(docker.demand("image", "inspect", BASE))[0]["Id"]
    digest = hashlib.sha256(f"{STAND_IN}{base}{lock.read_text()}".encode()).hexdigest()
    name = f"localhost/autosync-db/python:{digest[:16]}"
    if docker.has_image(name):
        return name
    subprocess.run(
        [
            sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--require-hashes",
            "--only-binary=:all:", "--python-version", PYTHON, "--dest", str(folder / "wheels"),
            "--requirement", str(lock),
        ],
        check=True,
    )  # fmt: skip
    (folder / "Dockerfile").write_text(STAND_IN)
    docker.demand("build", "--tag", name, "--build-arg", f"BASE={BASE}", str(folder), patience=engine.BUILD_SECONDS)
    return name


@pytest.fixture(scope="module")
def image(docker: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The image of the working tree."""
    base = python_base(docker, tmp_path_factory.mktemp("python"))
    context = tmp_path_factory.mktemp("context")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    for name in listed.split("\0"):
        if name and not name.startswith("tests/") and (ROOT / name).is_file():
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, context / name)
    docker.demand(
        *("build", "--file", str(context / ".ci/Dockerfile"), "--tag", IMAGE, "--build-arg", f"BASE={base}"),
        str(context),
        patience=engine.BUILD_SECONDS,
    )
    yield IMAGE
    docker.run("image", "rm", "--force", IMAGE)


@pytest.fixture
def run(docker: Engine, image: str) -> Run:
    """A function that runs the image with nothing but what it needs: no rights, and files that it cannot change."""

    def run(*arguments: str, options: tuple[str, ...] = (), variables: dict[str, str] | None = None) -> Any:
        return subprocess.run(
            [docker.program, "run", "--rm", "--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges",
             *options, image, *arguments],
            env={**os.environ, **(variables or {})}, check=False, capture_output=True, text=True, timeout=120,
        )  # fmt: skip

    return run


@pytest.mark.long
@pytest.mark.timeout(1800)  # two builds, on a machine that may be busy
def test_the_image_is_small_has_no_root_and_nothing_to_install_with(docker: Engine, image: str, run: Run) -> None:
    known, base = (json.loads(docker.demand("image", "inspect", name))[0] for name in (image, BASE))
    assert known["Config"]["User"] == "65532:65532"
    assert "explain" in run().stdout, "without a command it helps"
    looked = run("-c", "id -un; ls /opt/autosync-db/bin /", options=("--entrypoint", "sh"))
    who, *rest = looked.stdout.split()
    assert who == "autosync"
    assert "autosync-db" in rest
    assert not {"pip", "hatchling", "source"} & set(rest)
    assert run("explain", "head_applied").stdout.startswith("# head_applied")
    # without the layers of the base: Python is the base's
    layers = len(base["RootFS"]["Layers"])
    assert layers < len(known["RootFS"]["Layers"])
    history = [
        json.loads(line)
        for line in docker.demand("history", "--no-trunc", "--format", "{{json .}}", image).splitlines()
    ]
    [installed] = [line["Size"] for line in history if "COPY" in line["CreatedBy"] and "/opt" in line["CreatedBy"]]
    assert installed.endswith("MB")
    assert float(installed.removesuffix("MB")) < 130, installed


@pytest.mark.long
@pytest.mark.timeout(1800)  # two builds, on a machine that may be busy
def test_the_image_verifies_a_database_by_the_settings_that_are_mounted(
    run: Run, migrated: Cluster, tmp_path: Path
) -> None:
    (tmp_path / "autosync.toml").write_text('[targets.main]\ndatabase_url_env = "SUPABASE_DB_URL"\n')
    tmp_path.chmod(0o755)
    options = ("--network", "host", "--env", "SUPABASE_DB_URL", "--volume", f"{tmp_path}:/work:ro")
    given = {"SUPABASE_DB_URL": migrated.url().reveal()}
    current = run("migrate", "--check", options=options, variables=given)
    assert current.returncode == 0, current.stderr
    found = run("verify", "--format", "json", options=options, variables=given)
    assert found.returncode == 3, found.stderr
    report = json.loads(found.stdout)
    assert report["target"] == "main"
    assert "secrets_present" in report["root_causes"]
    assert migrated.passwords["postgres"] not in found.stdout + found.stderr
