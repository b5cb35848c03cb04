"""Programs that some tests need and a machine may lack: there the tests are skipped and say why, but never in CI."""

import os
import shutil
import sys
import sysconfig
from pathlib import Path
from typing import NoReturn

import pytest


def find(name: str, *places: str | Path, install: str) -> Path:
    """Return the program `name` from PATH or one of `places`; else skip the test, or fail it where CI is set."""
    scripts = sysconfig.get_path("scripts")
    for place in (*places, scripts, *os.get_exec_path(), "/usr/sbin"):
        if found := shutil.which(name, path=str(place)):
            return Path(found)
    return _lacking(f"{name} is not installed; {install}")


def _lacking(reason: str) -> NoReturn:
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def supabase() -> Path:
    """Return the Supabase CLI that .ci/bootstrap installs beside the virtual environment's own programs."""
    folder = Path(sys.prefix) / "supabase-cli/node_modules/@supabase/cli-linux-x64/bin"
    return find("supabase", folder, install="it exists for Linux on x86-64, and `make setup` installs it there")


def pgbouncer() -> Path:
    """Return pgbouncer."""
    return find("pgbouncer", install="install it: apt-get install --no-install-recommends pgbouncer")


def chromium() -> Path:
    """Return the browser that playwright drives."""
    return find("chromium", install="install it: apt-get install --no-install-recommends chromium")


def axe() -> Path:
    """Return the script of axe-core, which looks for what keeps people from using a page."""
    script = Path(sys.prefix) / "axe-core/node_modules/axe-core/axe.min.js"
    if not script.is_file():
        _lacking("axe-core is not installed; `make setup` installs it")
    return script
