"""Each direct dependency has a reason in its page and a lock, and known vulnerabilities are named."""

import importlib.util
import json
import re
import subprocess
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

from tests.project.test_lock import locked, names

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "explanation" / "dependencies.md").read_text(encoding="utf-8")
_IMPORT = re.compile(r"""(?:from|import\(?)\s*["'](npm:|jsr:|https?:)([^"']+)["']""")


def _tracked(*patterns: str) -> list[Path]:
    found = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, check=True, capture_output=True, text=True)
    return [ROOT / line for line in found.stdout.splitlines()]


def _python() -> set[str]:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    wanted = [*settings["build-system"]["requires"], *settings["project"]["dependencies"]]
    for group in (*settings["project"]["optional-dependencies"].values(), *settings["dependency-groups"].values()):
        wanted += [one for one in group if isinstance(one, str)]
    return names(wanted)


def _typescript() -> set[str]:
    found = {
        source + re.sub(r"(?<=.)@[^/@]*$", "", name)
        for path in _tracked("*.ts", "*.ts.j2")
        for source, name in _IMPORT.findall(path.read_text(encoding="utf-8"))
    }
    for path in _tracked("*deno.json"):
        for target in json.loads(path.read_text(encoding="utf-8")).get("imports", {}).values():
            found.add(re.sub(r"(?<=.)@[^/@]*$", "", target))
    return found


def test_every_dependency_has_a_reason_and_no_reason_is_left_over() -> None:
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE)
    listed = [name for name, _, _ in rows]
    assert sorted(listed) == sorted(_python() | _typescript())
    assert {name for name, _, why in rows if why != "the same" and len(why.split()) < 2} == {"mypy"}


def test_what_comes_from_npm_is_fixed_to_a_version_and_locked_where_it_is_installed() -> None:
    for path in _tracked("*deno.json"):
        settings = json.loads(path.read_text(encoding="utf-8"))
        targets = settings.get("imports", {}).values()
        assert all(re.search(r"@[0-9]+\.[0-9]+\.[0-9]+$", target) for target in targets), path
        if path.parent.parent.name == ".ci":
            packages = json.loads(path.with_name("deno.lock").read_text(encoding="utf-8"))["npm"]
            assert all(one["integrity"].startswith("sha512-") for one in packages.values())
            assert {target.removeprefix("npm:") for target in targets} <= packages.keys()


def test_the_program_that_looks_for_holes_is_locked() -> None:
    assert "pip-audit" in locked("audit.txt")


@pytest.fixture
def audit() -> ModuleType:
    """.ci/audit.py."""
    spec = importlib.util.spec_from_file_location("vulnerabilities", ROOT / ".ci" / "audit.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_GOOD = {"name": "jinja2", "version": "3.1.6", "vulns": []}
_BAD = {"name": "jinja2", "version": "2.11.2", "vulns": [{"id": "PYSEC-2021-66"}]}
_SKIPPED = {"name": "rich", "skip_reason": "Dependency not found on PyPI and could not be audited: rich (15.0.0)"}


@pytest.mark.parametrize(
    ("packages", "code", "verdict"),
    [
        ([_GOOD], 0, "CLEAN"),
        ([_GOOD, _BAD], 1, "FOUND"),
        ([_BAD, _SKIPPED], 1, "FOUND"),
        # it says "No known vulnerabilities found" and exits 0 for these
        ([_GOOD, _SKIPPED], 0, "UNKNOWN"),
        ([], 0, "UNKNOWN"),
        (None, 1, "UNKNOWN"),
    ],
)
def test_what_was_not_looked_at_is_never_clean(
    packages: list[object] | None, code: int, verdict: str, audit: ModuleType
) -> None:
    out = "" if packages is None else json.dumps({"dependencies": packages, "fixes": []})
    found = audit.judged("a lock", code, out, "ERROR: Failed to connect\n")
    assert found.code == getattr(audit, verdict)
    assert "3.1.6" not in found.said
    assert (verdict != "UNKNOWN") or found.said


@pytest.mark.parametrize(
    ("code", "out", "error", "verdict"),
    [
        (0, "No known vulnerabilities found\n", "", "CLEAN"),
        (1, "│ Severity: high\nFound 1 vulnerabilities\nSeverity: 1 high\n", "", "FOUND"),
        (1, "", "error: Failed to deserialize response from the npm registry API\n", "UNKNOWN"),
        (0, "", "", "UNKNOWN"),
    ],
)
def test_the_same_of_npm(code: int, out: str, error: str, verdict: str, audit: ModuleType) -> None:
    assert audit.judged_npm("a lock", code, out, error).code == getattr(audit, verdict)
