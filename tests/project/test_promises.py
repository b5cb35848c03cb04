"""tests/README.md says what is proven where: it names every file of tests, and every test that it names is there."""

import ast
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]


def written() -> dict[str, list[str]]:
    """Return the names of the tests that the list names, by file."""
    text = (TESTS / "README.md").read_text(encoding="utf-8")
    found: dict[str, list[str]] = {}
    for section in re.split(r"^### ", text, flags=re.MULTILINE)[1:]:
        heading, _, body = section.partition("\n")
        promises = re.findall(r"^- (.*?)(?: \((?:`(test_\w+)`|(the whole file))\))?$", body, flags=re.MULTILINE)
        found[heading.strip("`")] = [
            name or f"test_{promise.replace(' ', '_')}" for promise, name, whole in promises if not whole
        ]
    return found


def present(file: Path) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")}


def test_the_list_of_promises_names_every_file_and_only_tests_that_exist() -> None:
    files = {path.relative_to(TESTS).as_posix(): present(path) for path in TESTS.rglob("test_*.py")}
    listed = written()
    assert sorted(files.keys() - listed.keys()) == [], "add what these prove to tests/README.md"
    gone = [f"{file}: {name}" for file, names in listed.items() for name in names if name not in files.get(file, ())]
    assert gone == [], "promises of tests/README.md without a test: say where they are proven now"
