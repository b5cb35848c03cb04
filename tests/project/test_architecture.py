"""Imports run one way, and each thing that leaks easily has one home."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "autosync_db"
MODULES = sorted(PACKAGE.rglob("*.py"))

# what a module is not listed for belongs to "domain": it may use all layers above and the rest of the domain
LAYERS: dict[str, int] = {
    **dict.fromkeys(("__init__", "errors", "secret", "duration", "resources"), 0),
    "supabase": 1,
    "config": 2,
    "connection": 3,
    "local": 5,
    "report": 6,
    "cli": 7,
    "__main__": 8,
}
DOMAIN = 4

# rule: who may import it, as paths below autosync_db/
ONLY = {
    "typer": ("cli/",),
    "click": ("cli/",),
    "rich": ("cli/", "report/"),
}
OPENS_CONNECTIONS = ("connection.py", "local/")
# these hand their environment on to what they start; the worker stands for libcurl, which reads its own
READS_ENVIRONMENT = ("config.py", "local/cluster.py", "local/process.py", "local/pg_net/worker.py")
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "base", "misc", "lib"}


def below(module: Path) -> str:
    return module.relative_to(PACKAGE).as_posix()


def layer(top: str) -> int:
    return LAYERS.get(top, DOMAIN)


def imports(tree: ast.AST) -> Iterator[str]:
    """Yield every imported module, with `from package import name` as `package.name`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the direction"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def own_imports(tree: ast.AST) -> set[str]:
    """Return the modules directly below autosync_db that are imported."""
    found = set()
    for name in imports(tree):
        package, _, rest = name.partition(".")
        top = rest.partition(".")[0]
        if package == "autosync_db" and ((PACKAGE / f"{top}.py").exists() or (PACKAGE / top).is_dir()):
            found.add(top)
        elif package == "autosync_db":
            found.add("__init__")
    return found


def attribute_uses(tree: ast.AST, owner: str, names: set[str]) -> list[int]:
    """Return the lines that use `owner.name`, or import one of the names from `owner`."""
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == owner and node.attr in names:
                lines.append(node.lineno)
        elif isinstance(node, ast.ImportFrom) and node.module == owner:
            lines += [node.lineno for alias in node.names if alias.name in names]
    return lines


@pytest.fixture(scope="module")
def trees() -> dict[str, ast.Module]:
    """Every module of the package, parsed."""
    return {below(module): ast.parse(module.read_text(encoding="utf-8")) for module in MODULES}


def test_a_module_imports_only_from_its_layer_or_an_earlier_one(trees: dict[str, ast.Module]) -> None:
    wrong = []
    for path, tree in trees.items():
        own = path.split("/")[0].removesuffix(".py")
        wrong += [
            f"{path} imports {other}, which comes after it" for other in own_imports(tree) if layer(other) > layer(own)
        ]
    assert not wrong


@pytest.mark.parametrize("library", ONLY)
def test_a_library_of_the_surface_is_imported_by_the_surface_alone(library: str, trees: dict[str, ast.Module]) -> None:
    importers = [path for path, tree in trees.items() if library in {name.partition(".")[0] for name in imports(tree)}]
    assert [path for path in importers if not path.startswith(ONLY[library])] == []


def test_only_connection_opens_connections(trees: dict[str, ast.Module]) -> None:
    openers = [path for path, tree in trees.items() if attribute_uses(tree, "psycopg", {"connect"})]
    assert [path for path in openers if not path.startswith(OPENS_CONNECTIONS)] == []
    assert "connection.py" in openers


def test_only_config_reads_the_environment(trees: dict[str, ast.Module]) -> None:
    readers = [path for path, tree in trees.items() if attribute_uses(tree, "os", {"environ", "getenv", "environb"})]
    assert [path for path in readers if not path.startswith(READS_ENVIRONMENT)] == []
    assert "config.py" in readers


def test_only_resources_knows_where_files_lie() -> None:
    knowing = [below(module) for module in MODULES if "_bundled" in module.read_text(encoding="utf-8")]
    assert knowing == ["resources.py"]


def test_no_module_name_says_nothing() -> None:
    modules = [*MODULES, *(ROOT / "tests").rglob("*.py"), *(ROOT / "alembic").rglob("*.py")]
    folders = {folder for module in modules for folder in module.relative_to(ROOT).parts[:-1]}
    assert {module.stem for module in modules} & SAYS_NOTHING == set()
    assert folders & SAYS_NOTHING == set()


@pytest.mark.parametrize("folder", ["alembic", "alembic/versions", "tests", "sql", "templates"])
def test_a_folder_that_would_shadow_a_library_is_no_package(folder: str) -> None:
    # with it `python -m alembic` and `python -m pytest` find our folder instead of the library
    assert not (ROOT / folder / "__init__.py").exists()


def test_every_module_of_the_package_says_what_it_is_for(trees: dict[str, ast.Module]) -> None:
    assert [path for path, tree in trees.items() if tree.body and not ast.get_docstring(tree)] == []
