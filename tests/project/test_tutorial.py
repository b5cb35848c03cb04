"""The tutorial, typed as it stands: its commands end as it says, and print what it shows."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "tutorial" / "local.md"
_BLOCK = re.compile(
    r"^(?:<!-- exit (?P<code>\d+) -->\n)?```(?P<kind>sh|text)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
# what the tests' own environment has already
_INSTALLS = "pip install "

pytestmark = [pytest.mark.long, pytest.mark.one_version, pytest.mark.timeout(600)]


@dataclass
class Step:
    """What is typed at once, how it has to end, and the lines that it shows."""

    script: str
    code: int
    shows: str = ""

    def missing(self, printed: str) -> str | None:
        """Return the first line of what is shown that was not printed in its place; `…` stands for anything."""
        rest = "\n".join(" ".join(line.split()) for line in printed.splitlines())
        for line in self.shows.splitlines():
            expected = ".*".join(re.escape(" ".join(part.split())) for part in line.split("…"))
            found = re.search(expected, rest)
            if found is None:
                return line
            rest = rest[found.end() :]
        return None


def steps() -> list[Step]:
    """Return the steps of the page."""
    found: list[Step] = []
    for block in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        if block["kind"] == "text":
            found[-1].shows = block["text"]
        elif not block["text"].startswith(_INSTALLS):
            found.append(Step(block["text"], int(block["code"] or 0)))
    return found


@pytest.fixture
def shell(tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of somebody in an empty folder; what was started there ends."""
    programs = Path(sys.executable).parent
    # Deno finds its cache and its certificates by variables of its own
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith(("AUTOSYNC_", "SUPABASE_", "PG"))
    }
    path = f"{programs}:{os.environ['PATH']}"
    environment = inherited | {"PATH": path, "NO_COLOR": "1", "COLUMNS": "80", "LANG": "C.UTF-8"}
    environment.pop("DATABASE_URL", None)
    yield environment
    subprocess.run(
        [programs / "autosync-db", "local", "down", "--purge"], cwd=tmp_path, env=environment, check=True, timeout=120
    )


def test_every_command_of_the_tutorial_ends_and_prints_as_the_page_says(shell: dict[str, str], tmp_path: Path) -> None:
    typed = steps()
    assert len(typed) > 12, "the page's blocks are not found"
    for step in typed:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", step.script],
            cwd=tmp_path, env=shell, check=False, text=True, timeout=300,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        seen = f"\n{step.script}\nexit {done.returncode}\n{done.stdout}"
        assert done.returncode == step.code, seen
        assert (line := step.missing(done.stdout)) is None, f"not printed: {line}{seen}"
    assert not (tmp_path / ".autosync").exists(), "the last command takes everything away"
