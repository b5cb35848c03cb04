"""Who has the package alone: what is printed names no file of the repository."""

import ast
import re
from pathlib import Path

import typer.main

from autosync_db import cli
from autosync_db.report import pages
from tests.support import command

ROOT = Path(__file__).parents[2]
# folders and files of the repository, and its ways to run them; the addresses of others, and a user's own file
_ELSEWHERE = re.compile(r"(?:\]\()?https?://\S+|supabase/\S+|\[[^\]]*README\]\(\S*\)")
_REPOSITORY = re.compile(
    r"(?<![\w/.-])(?:docs|tests|benchmarks|alembic|sql|templates|autosync_db|\.ci)/|[\w-]\.md\b|\bMakefile\b|\bpytest\b"
    r"|\b(?:README|CONTRIBUTING|CHANGELOG)\b"
    r"|(?<![\w-])make (?:setup|demo|test|faults|lint|format|generate|lock|clean)\b"
    r"|\]\((?!https?:)"
)


def _named(text: str) -> list[str]:
    return _REPOSITORY.findall(_ELSEWHERE.sub("", text))


def test_what_would_be_found() -> None:
    for text in ("see docs/guides/keys.md", "run make demo", "[keys](../keys.md)", "as README says", "(adoption.md)"):
        assert _named(text), text
    for text in ("https://x.com/docs/guides/a", "they make calls", "supabase/config.toml", "the sql of a job"):
        assert not _named(text), text


def test_no_page_names_a_file_of_the_repository() -> None:
    found = {id: _named(pages.page(id)) for id in pages.ids()}
    assert {id: names for id, names in found.items() if names} == {}


def test_no_help_text_names_one() -> None:
    def below(found: object, path: tuple[str, ...]) -> None:
        found = getattr(found, "loaded", found)
        texts = [str(getattr(found, "help", "") or "")] + [
            str(getattr(parameter, "help", "") or "") for parameter in getattr(found, "params", [])
        ]
        assert [name for text in texts for name in _named(text)] == [], path
        for name, inner in getattr(found, "commands", {}).items():
            below(inner, (*path, name))

    below(typer.main.get_command(cli.app), ())
    assert _named(command.run("--help").out) == []


def test_no_message_names_one() -> None:
    found = []
    for path in sorted((ROOT / "autosync_db").rglob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        documents = {
            id(node.body[0].value)
            for node in ast.walk(tree)
            if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
            and node.body
            and isinstance(node.body[0], ast.Expr)
        }
        # a path that is read, not said: it is the whole of its text, or an argument of a function of resources
        read = {
            id(inner)
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and isinstance(node.func.value, ast.Name)
            and node.func.value.id == "resources"
            for inner in ast.walk(node)
        }
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or not isinstance(node.value, str) or {id(node)} & (documents | read):
                continue
            if re.search(r"\s", node.value) and _named(node.value):
                found.append(f"{path.name}:{node.lineno}: {node.value}")
    for path in sorted([*(ROOT / "sql").rglob("*.sql"), *(ROOT / "alembic").rglob("*.sql")]):
        text = path.read_text(encoding="utf-8")
        if "-- Written by .ci/generate.py from the patterns" in text:
            continue  # says nothing
        # what a function raises, not its comments
        text = re.sub(r"--[^\n]*|\bcomment on [^;]*;", "", text)
        found += [
            f"{path.name}: {said}" for said in re.findall(r"'(?:[^']|'')*'", text) if " " in said and _named(said)
        ]
    assert found == []
