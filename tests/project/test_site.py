"""The site that is made of docs/: what it adds to the pages, and what it refuses."""

import importlib.util
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import ModuleType
from typing import get_args

import pytest

from autosync_db.health.model import Layer

ROOT = Path(__file__).parents[2]
FRONT = """# Front

## Guides: keys

- [First](guides/first.md), and [its page](reference/checks.md)

## Reference

- [Checks](reference/checks.md)
- [a schema](reference/one.schema.json)
"""


@pytest.fixture(scope="module")
def site() -> ModuleType:
    """The script, as a module."""
    spec = importlib.util.spec_from_file_location("site_of_docs", ROOT / ".ci" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_navigation_has_every_page_once_and_the_checks_by_layer(site: ModuleType) -> None:
    listed = [page for group in site.navigation() for page in group.pages]
    layers = [page.removeprefix("/") for page in site.below("docs/reference/checks.md").pages]
    checks = [page.removeprefix("/") for layer in layers for page in site.below(f"docs/{layer}").pages]
    docs = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")} - {"README.md"}
    assert sorted([*(page for page in listed if not page.startswith("project/")), *layers, *checks]) == sorted(docs)
    assert len(layers) == len(get_args(Layer))


def test_a_link_to_a_file_that_has_no_page_leads_to_the_repository_or_nowhere(
    site: ModuleType, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = "[a](../../sql/checks/job_active.sql), [b](../../CONTRIBUTING.md#rules), [c](keys.md)"
    page = PurePosixPath("docs/explanation/x.md")
    said = site.relinked(f"{text}\n```sh\n{text}\n```\n", page, "explanation/x.md")
    assert said == f"a, [b](../project/contributing.md#rules), [c](keys.md)\n```sh\n{text}\n```\n"
    monkeypatch.setattr(site, "REPOSITORY", "https://example.com/blob/main")
    said = site.relinked(text, page, "explanation/x.md")
    assert said.startswith("[a](https://example.com/blob/main/sql/checks/job_active.sql), ")


@pytest.fixture
def build(tmp_path: Path) -> Callable[[str], subprocess.CompletedProcess[str]]:
    """Build a small site whose one guide has this text."""
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "docs.py", tmp_path / ".ci")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "README.md"):
        (tmp_path / name).write_text(f"# {name}\n")
    for name, text in {
        "README.md": FRONT, "reference/checks.md": "# Checks\n", "reference/one.schema.json": "{}",
        "guides/second.md": "# Second\n\n## A heading of it\n\nText.\n",
    }.items():  # fmt: skip
        (tmp_path / "docs" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "docs" / name).write_text(text)

    def run(guide: str) -> subprocess.CompletedProcess[str]:
        (tmp_path / "docs" / "guides" / "first.md").write_text(guide)
        return subprocess.run(
            [sys.executable, tmp_path / ".ci" / "docs.py"], check=False, capture_output=True, text=True, timeout=200
        )

    return run


@pytest.mark.long
def test_a_link_that_leads_nowhere_fails_and_a_page_that_nobody_lists_is_found(
    build: Callable[[str], subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = build(
        "# First\n\n[there](second.md#a-heading-of-it), [out](https://example.com/x), [up](../../CHANGELOG.md)\n"
    )
    assert done.returncode == 0, done.stderr
    front = (tmp_path / "build/docs/index.html").read_text()
    assert "More guides" in front
    assert "guides/second.html" in front
    assert "https://example.com/x" in (tmp_path / "build/docs/external-links.txt").read_text()
    assert "project/changelog.html" in (tmp_path / "build/docs/guides/first.html").read_text()
    broken = ("[away](gone.md)", "[away](second.md#no-such-heading)", "[away](#nowhere)", "```{oops}\n```")
    done = build("# First\n\n" + "\n\n".join(broken) + "\n")
    assert (done.returncode, done.stderr.count("guides/first.md")) == (1, len(broken)), done.stderr
