"""Squawk finds nothing in the migration script but what .ci/squawk.toml gives a reason for."""

import json
import subprocess
import sysconfig
import tomllib
from pathlib import Path
from typing import Any

import pytest

from autosync_db.schema import migrate, objects

ROOT = Path(__file__).parents[2]
SETTINGS = ROOT / ".ci/squawk.toml"
EXCLUDED: list[str] = tomllib.loads(SETTINGS.read_text(encoding="utf-8"))["excluded_rules"]
# breaks rules that are active: a volatile default rewrites the table, an index blocks writes
HARMFUL = """
set lock_timeout = '3s'; set statement_timeout = '10s';
alter table public.auto_sync_schedules add column weight bigint not null;
create index weight_idx on public.auto_sync_schedules (weight);
"""


def findings(script: Path, settings: Path) -> list[dict[str, Any]]:
    squawk = Path(sysconfig.get_path("scripts")) / "squawk"
    done = subprocess.run(
        [str(squawk), "--config", str(settings), "--reporter", "json", str(script)],
        check=False, capture_output=True, text=True, cwd=script.parent,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout or "[]")
    return found


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The script of all revisions, and the objects, whose texts it quotes."""
    path = tmp_path_factory.mktemp("squawk") / "migrate.sql"
    sources = "\n".join(file.source for file in objects.files())
    path.write_text(migrate.script_sql().replace("\nCOMMIT;", f"\n{sources}\nCOMMIT;"), encoding="utf-8")
    return path


def test_the_migration_script_draws_no_finding(script: Path) -> None:
    assert [f"{f['rule_name']} in line {f['line'] + 1}: {f['message']}" for f in findings(script, SETTINGS)] == []


def test_every_excluded_rule_is_one_that_the_script_breaks(script: Path, tmp_path: Path) -> None:
    open_settings = tmp_path / "open.toml"
    open_settings.write_text(
        "\n".join(line for line in SETTINGS.read_text(encoding="utf-8").splitlines() if not line.startswith("    "))
    )
    assert {f["rule_name"] for f in findings(script, open_settings)} == set(EXCLUDED), (
        "an exclusion outlived its reason"
    )


def test_every_excluded_rule_has_its_reason() -> None:
    lines = SETTINGS.read_text(encoding="utf-8").splitlines()
    for rule in EXCLUDED:
        (position,) = [n for n, line in enumerate(lines) if f'"{rule}"' in line]
        assert lines[position - 1].strip().startswith("# "), f"say above {rule} why it does not apply"


def test_a_harmful_migration_is_found(tmp_path: Path) -> None:
    path = tmp_path / "harmful.sql"
    path.write_text(HARMFUL, encoding="utf-8")
    assert {"adding-required-field"} <= {f["rule_name"] for f in findings(path, SETTINGS)}
