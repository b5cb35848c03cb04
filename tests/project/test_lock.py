"""The lock file holds every dependency: the bootstrap installs from it alone."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_every_dependency_is_locked_with_hashes_and_without_index_addresses() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["local"],
        *settings["dependency-groups"]["dev"],
    ]
    text = (ROOT / ".ci" / "requirements.txt").read_text()
    locked = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))
    names = {re.split(r"[\[<>=~ ]", requirement, maxsplit=1)[0].lower() for requirement in wanted}
    assert names <= set(locked), "update it with: make lock"
    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(locked)
