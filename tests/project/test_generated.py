"""What is generated from the code is as the code has it, and its generator notices when it is not."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def generate(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, root / ".ci" / "generate.py", *arguments], capture_output=True, text=True, check=False
    )


def test_generated_files_are_current() -> None:
    done = generate(ROOT, "--check")
    assert done.returncode == 0, done.stderr


@pytest.mark.long
def test_a_claim_that_is_edited_in_a_page_is_noticed_and_written_again(tmp_path: Path) -> None:
    for name in (".ci/generate.py", ".ci/secret_patterns.py", "docs"):
        source = ROOT / name
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(source, tmp_path / name)
    page = tmp_path / "docs/checks/job_active.md"
    before = page.read_text()
    page.write_text(before.replace("## Claim\n\nThe", "## Claim\n\nNo", 1) + "\nA sentence of somebody's own.\n")
    done = generate(tmp_path, "--check")
    assert (done.returncode, "docs/checks/job_active.md" in done.stderr) == (1, True)
    assert generate(tmp_path).returncode == 0
    assert page.read_text() == before.rstrip("\n") + "\n\nA sentence of somebody's own.\n"
