"""The shipped functions and the local edge runtime pass Deno's type check, and have no circle of imports."""

from __future__ import annotations

import json
import re
import subprocess
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.edge import EDGE, FUNCTIONS, deno_binary


def run_deno(folder: Path, *arguments: str) -> str:
    done = subprocess.run([deno_binary(), *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def imports(folder: Path) -> dict[str, set[str]]:
    """Return what each file imports from the same folder, types included."""
    found: dict[str, set[str]] = {}
    for path in folder.rglob("*.ts"):
        for module in json.loads(run_deno(folder, "info", "--json", str(path)))["modules"]:
            named = {
                link[kind]["specifier"]
                for link in module.get("dependencies", ())
                for kind in ("code", "type")
                if "specifier" in link.get(kind, {})
            }
            found[module["specifier"]] = {name for name in named if name.startswith(folder.as_uri())}
    return found


def circle(graph: dict[str, set[str]]) -> list[str]:
    """Return the names of a circle in a graph of imports; none is an empty list."""
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [name.rpartition("/")[2] for name in error.args[1]]
    return []


@pytest.mark.parametrize("folder", [FUNCTIONS, EDGE], ids=["functions", "edge"])
def test_the_types_agree(folder: Path) -> None:
    # style is a matter of `make lint`
    run_deno(folder, "check", ".")
    assert not list(folder.rglob("deno.lock"))


@pytest.mark.parametrize("folder", [FUNCTIONS, EDGE], ids=["functions", "edge"])
def test_no_circle_of_imports(folder: Path) -> None:
    graph = imports(folder)
    assert len(graph) >= len(list(folder.rglob("*.ts")))
    assert sum(map(len, graph.values())) >= len(list(folder.rglob("*.ts"))) - 3
    assert circle(graph) == []


def test_a_circle_through_a_type_is_found(tmp_path: Path) -> None:
    (tmp_path / "left.ts").write_text('import { right } from "./right.ts";\nexport type Left = typeof right;\n')
    (tmp_path / "right.ts").write_text('import type { Left } from "./left.ts";\nexport const right: Left | 1 = 1;\n')
    assert sorted(set(circle(imports(tmp_path)))) == ["left.ts", "right.ts"]


def test_functions_import_nothing_from_elsewhere() -> None:
    paths = list(FUNCTIONS.rglob("*.ts"))
    assert paths
    for path in paths:
        # what is imported, exported on, or loaded when it is needed
        text = path.read_text()
        named = re.findall(
            r'(?m)^(?:import|export)\b[^;]*?\bfrom "([^"]+)"|^import "([^"]+)"|\bimport\("([^"]+)"', text
        )
        assert all("".join(name).startswith(("./", "../")) for name in named), (path, named)
