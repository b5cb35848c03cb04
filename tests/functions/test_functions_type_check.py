"""The shipped functions and the local edge runtime satisfy Deno's own checkers."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support.edge import EDGE, FUNCTIONS, deno_binary


def run_deno(folder: Path, *arguments: str) -> None:
    done = subprocess.run([deno_binary(), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("folder", [FUNCTIONS, EDGE], ids=["functions", "edge"])
@pytest.mark.parametrize("command", [("check", "."), ("lint",), ("fmt", "--check")], ids=" ".join)
def test_deno_has_no_objection(folder: Path, command: tuple[str, ...]) -> None:
    run_deno(folder, *command)


@pytest.mark.parametrize("folder", [FUNCTIONS, EDGE], ids=["functions", "edge"])
def test_no_lock_file_is_shipped(folder: Path) -> None:
    assert not list(folder.rglob("deno.lock"))


def test_functions_import_nothing_from_elsewhere() -> None:
    for path in FUNCTIONS.rglob("*.ts"):
        imports = [line for line in path.read_text().splitlines() if line.startswith("import ")]
        assert all('from "./' in line or 'from "../' in line for line in imports), path
