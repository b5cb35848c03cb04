"""The lock files hold every dependency: the bootstrap installs from them alone."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]


def locked(name: str) -> dict[str, str]:
    """Return the versions in a lock file, all of which have hashes and none of which an address."""
    text = (ROOT / ".ci" / name).read_text()
    found = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", text, flags=re.MULTILINE))
    assert "://" not in text
    for entry in re.split(r"^(?=[a-z0-9-]+==)", text, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in entry
    return found


def names(requirements: list[str]) -> set[str]:
    """Return the names of the packages in a list of requirements."""
    return {re.split(r"[\[<>=~ ;]", requirement, maxsplit=1)[0].lower() for requirement in requirements}


def test_every_dependency_is_locked_with_hashes_and_without_index_addresses() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["local"],
        *settings["dependency-groups"]["dev"],
    ]
    assert names(wanted) <= locked("requirements.txt").keys(), "update it with: make lock"


def test_what_the_image_and_the_action_install_is_what_is_tested() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    wanted = [*settings["project"]["dependencies"], *settings["build-system"]["requires"]]
    runtime = locked("runtime.txt")
    assert names(wanted) <= runtime.keys(), "update it with: make lock"
    assert runtime.items() <= locked("requirements.txt").items()
    assert not {"pytest", "deno", "zizmor"} & runtime.keys()


def test_the_demo_installs_what_is_tested_and_no_tool_of_the_tests() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    project = settings["project"]
    demo = locked("demo.txt")
    wanted = [
        *project["dependencies"],
        *project["optional-dependencies"]["local"],
        *settings["build-system"]["requires"],
    ]
    assert names(wanted) <= demo.keys(), "update it with: make lock"
    assert demo.items() <= locked("requirements.txt").items()
    allowed = names([one for one in settings["dependency-groups"]["demo"] if isinstance(one, str)])
    own = {*names(wanted), *allowed}
    assert not (names(settings["dependency-groups"]["dev"]) - own) & demo.keys()
