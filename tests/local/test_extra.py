"""Without the extra `local` its commands say what to install."""

import sys
from pathlib import Path

import pytest

from tests.support import command

STARTING = (("up",), ("up", "--engine", "docker"), ("demo",))
OTHERS = (("down",), ("status",), ("logs", "edge"), ("tick",))
NEEDED = {"psutil": {*STARTING, *OTHERS} - {("tick",)}, "pycurl": {*STARTING}, "deno": {*STARTING}}


@pytest.mark.parametrize("package", NEEDED)
def test_a_missing_package_is_named_with_what_installs_it(
    package: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    for name in [name for name in sys.modules if name.startswith("autosync_db.local.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setenv("PATH", str(tmp_path))  # Deno may be there, too
    for arguments in (*STARTING, *OTHERS):
        done = command.run("local", *arguments)
        assert done.code in (0, 2), (arguments, done)
        if arguments in NEEDED[package]:
            assert package in command.refused(done, 2).lower(), arguments
            assert done.hints == ["run: pip install 'autosync-db[local]'"], arguments
    assert not Path(".autosync").exists()
