"""The shape of the code, as far as no linter holds it; the direction of imports is in pyproject.toml.

Each rule lists all offenders at once.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "autosync_db"
FOLDERS = (PACKAGE, ROOT / "alembic", ROOT / "tests", ROOT / "benchmarks")

# paths below autosync_db/ that may
OPEN_CONNECTIONS, OPEN_OF_THEIR_OWN = ("connection/",), ("local/",)
# these hand their environment on to what they start; the worker stands for libcurl, which reads its own
# cli/__init__.py sets a variable, before anything is loaded that reads it
READ_ENVIRONMENT = ("config/", "cli/__init__.py", "local/cluster.py", "local/process.py", "local/pg_net/")
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "misc", "lib"}


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Every module of the package, parsed, by its path below autosync_db/."""
    return {
        module.relative_to(PACKAGE).as_posix(): ast.parse(module.read_text(encoding="utf-8"))
        for module in sorted(PACKAGE.rglob("*.py"))
    }


def uses(tree: ast.AST, owner: str, names: set[str]) -> Iterator[int]:
    """Yield the lines that use `owner.name`, or import one of the names from `owner`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == owner and node.attr in names:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == owner and names & {a.name for a in node.names}:
            yield node.lineno


@pytest.mark.parametrize(
    ("owner", "names", "allowed"),
    [
        ("Patient", {"connect"}, OPEN_CONNECTIONS),
        ("psycopg", {"connect"}, OPEN_OF_THEIR_OWN),
        ("os", {"environ", "getenv", "environb"}, READ_ENVIRONMENT),
    ],
    ids=[
        "only connection/ opens connections",
        "only the local stack opens others",
        "only config/ reads the environment",
    ],
)
def test_what_leaks_easily_has_one_home(
    trees: dict[str, ast.Module], owner: str, names: set[str], allowed: tuple[str, ...]
) -> None:
    users = {path: lines for path, tree in trees.items() if (lines := list(uses(tree, owner, names)))}
    assert [f"{path}:{line}" for path, lines in users.items() if not path.startswith(allowed) for line in lines] == []
    assert any(path.startswith(allowed[0]) for path in users), "the home of this rule has moved"


def test_only_resources_knows_where_files_lie() -> None:
    knowing = [path.name for path in PACKAGE.rglob("*.py") if "_bundled" in path.read_text(encoding="utf-8")]
    assert knowing == ["resources.py"]


def test_every_name_says_something() -> None:
    modules = [path.relative_to(ROOT) for folder in FOLDERS for path in folder.rglob("*.py")]
    assert [str(path) for path in modules if SAYS_NOTHING & {*path.parts[:-1], path.stem}] == []


def test_a_folder_that_would_shadow_a_library_is_no_package() -> None:
    # with it `python -m alembic` and `python -m pytest` find our folder instead of the library
    folders = ("alembic", "alembic/versions", "tests", "sql", "templates")
    assert [folder for folder in folders if (ROOT / folder / "__init__.py").exists()] == []


def test_a_module_has_at_most_400_lines_and_a_function_60(trees: dict[str, ast.Module]) -> None:
    long = [
        f"{path}: {lines} lines"
        for path in trees
        if (lines := len((PACKAGE / path).read_text(encoding="utf-8").splitlines())) > 400
    ]
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                long += [f"{path}:{node.lineno}: {node.name} has {lines} lines"] if lines > 60 else []
    assert long == []


def test_few_modules_lie_beside_the_folders() -> None:
    beside = sorted(path.name for path in PACKAGE.glob("*.py") if not path.name.startswith("__"))
    assert len(beside) <= 10, beside


def test_the_words_are_those_of_the_field() -> None:
    # docs/reference/glossary.md has the words to use; an id of the contract keeps its name
    private = re.compile(r"\b(mend(s|ed|ing)?|told|anew|strangers?|in force|by hand)\b", re.IGNORECASE)
    wrong = []
    for folder in ("autosync_db", "sql", "alembic", "templates", "docs", "tests", "benchmarks", ".ci"):
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in {".py", ".sql", ".ts", ".md", ".j2"} or path == Path(__file__):
                continue
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                if found := private.search(line.replace("function_rejects_strangers", "").replace("_", " ")):
                    wrong.append(f"{path.relative_to(ROOT)}:{number}: {found[0]}")
    assert not wrong, "\n".join(wrong)
