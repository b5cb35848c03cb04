"""The documentation as files: its command lines and settings are accepted, its links lead somewhere."""

import functools
import re
import shlex
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any

import pytest
import typer.main
from typer.core import TyperGroup

from autosync_db import cli, config
from autosync_db.errors import AutosyncError
from tests.support import command

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "tests" / "README.md"])
_BLOCK = re.compile(r"^(?P<fence>`{3,})(?P<language>\w*)\n(?P<text>.*?)^(?P=fence)$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[(?:[^\[\]]|\[[^\[\]]*\])+\]\(([^)\s]+)\)")
_SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
# `$ `, variables and the programs that start it may come before
_CALL = re.compile(r"(?:^|[|;&(`] ?|\$ |: |uvx |exec )(?:[A-Z_]+=\S* )*(?P<call>autosync-db (?=[a-z-]).*)")
_PLACEHOLDER = re.compile(r"[A-Z_|…]+")


def blocks(text: str, *languages: str) -> Iterator[tuple[int, str]]:
    """Yield the fenced blocks in one of the languages, each with its line."""
    for block in _BLOCK.finditer(text):
        if block["language"] in languages:
            yield text.count("\n", 0, block.start("text")) + 1, block["text"]


def calls(text: str) -> Iterator[tuple[int, list[str], bool]]:
    """Yield the words of every command line of ours in a page, each with its line, and whether it is to be typed."""
    lines = []
    for number, block in blocks(text, "sh", "bash", "console", "yaml", "toml", "text", ""):
        # a comment speaks of commands; one that is a remedy ends with the command to run then
        code = re.sub(r"(?:^|(?<=\s))# .*?(?=; then: |$)", "", block.replace("\\\n", "  "), flags=re.MULTILINE)
        lines += [(number + place, line.strip(), True) for place, line in enumerate(code.splitlines())]
    prose = _BLOCK.sub(lambda block: "\n" * block[0].count("\n"), text)
    lines += [
        (number, span, False) for number, line in enumerate(prose.splitlines(), start=1) for span in _SPAN.findall(line)
    ]
    for number, line, typed in lines:
        for part in re.split(r" (?:&&|\|\||then) |; ", line):
            if found := _CALL.search(part):
                yield number, words(found["call"]), typed


def words(call: str) -> list[str]:
    """Return the arguments as a shell splits them, up to the next command; [optional] ones included."""
    lexer = shlex.shlex(re.sub(r"[\[\]]|\.\.\.", " ", call), posix=True, punctuation_chars="|&;<>()")
    lexer.whitespace_split = True
    found: list[str] = []
    for word in lexer:
        if set(word) <= set("|&;<>()"):
            break
        found.append(word)
    return found[1:]


@functools.cache
def root() -> Any:
    """Return the whole command line."""
    return typer.main.get_command(cli.app)


def fault(arguments: list[str], typed: bool) -> str | None:
    """Return what the real command line has against these arguments, None if nothing."""
    found: Any = root()
    rest = [one for one in arguments if one != "…"]
    while isinstance(found := getattr(found, "loaded", found), TyperGroup):
        if not rest:
            return None
        inner = found.get_command(typer.Context(found), rest[0])
        if inner is None:
            return f"there is no command {rest[0]!r}"
        found, rest = inner, rest[1:]
    try:
        given, left, _ = found.make_parser(typer.Context(found)).parse_args(args=list(rest))
    except typer.TyperException as error:
        return error.format_message()
    if left:
        return f"{left[0]!r} is one argument too many"
    for parameter in found.params:
        value = given.get(parameter.name)
        if typed and parameter.required and value in (None, []):
            return f"{parameter.name} is missing"
        kind = parameter.type_descriptor.annotation
        if isinstance(value, str) and isinstance(kind, type) and issubclass(kind, Enum):
            unknown = {*value.split("|")} - {str(one.value) for one in kind}
            if unknown and not _PLACEHOLDER.fullmatch(value):
                return f"{sorted(unknown)} is none of {[str(one.value) for one in kind]}"
    return None


def test_every_command_line_in_the_documentation_is_one() -> None:
    found = [(page, *call) for page in PAGES for call in calls(page.read_text(encoding="utf-8"))]
    unspoken = {path[0] for path in command.leaves()} - {call[0] for _, _, call, _ in found}
    assert not unspoken, f"no page shows how to call {unspoken}, or the search for calls is broken"
    wrong = [
        f"{page.relative_to(ROOT)}:{line}: autosync-db {' '.join(call)}: {reason}"
        for page, line, call, typed in found
        if (reason := fault(call, typed)) is not None
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("verify --wiat 10m", "No such option"),
        ("verifi", "there is no command"),
        ("jobs triger", "there is no command"),
        ("verify --format xml", "is none of"),
        ("secrets set", "is missing"),
        ("status now", "one argument too many"),
        ("verify --wait", "requires an argument"),
        ("verify --wait DURATION --format junit # note", None),
        ("jobs trigger 'a job' --target local && echo done", None),
        ("secrets set NAME [--from-file PATH]", None),
        ("rotate --from-file - < key.txt", None),
    ],
)
def test_a_command_line_that_would_be_refused_is_found(line: str, reason: str | None) -> None:
    ((_, call, typed),) = calls(f"Some text.\n\n```sh\nautosync-db {line}\n```\n")
    said = fault(call, typed)
    assert (said is None) if reason is None else (reason in (said or "")), said


def settings_of(text: str) -> Iterator[tuple[int, str]]:
    """Yield what a page says to write into autosync.toml; what belongs into another file names it in its first line."""
    for number, block in blocks(text, "toml"):
        if not re.match(r"# supabase/config\.toml|# pyproject", block):
            yield number, block


def test_every_setting_in_the_documentation_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    file, wrong = tmp_path / "autosync.toml", []
    for page in PAGES:
        for line, block in settings_of(page.read_text(encoding="utf-8")):
            file.write_text(block, encoding="utf-8")
            try:
                config.read(config.Flags(config=file))
            except AutosyncError as error:
                wrong.append(f"{page.relative_to(ROOT)}:{line}: {error.message}")
    assert not wrong, "\n".join(wrong)


def anchors(text: str) -> set[str]:
    """Return the anchors that headings have, here and on the site."""
    found: set[str] = set()
    for heading in re.findall(r"^#{1,6} (.+)$", _BLOCK.sub("", text), flags=re.MULTILINE):
        plain = re.sub(r"\[((?:[^\[\]])+)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.strip().lower()).replace(" ", "-")
        found.add(slug if slug not in found else f"{slug}-1")
    return found


def test_every_link_leads_to_a_file_and_a_heading_that_are_there() -> None:
    texts = {page: page.read_text(encoding="utf-8") for page in PAGES}
    known = {page: anchors(text) for page, text in texts.items()}
    wrong = []
    for page, text in texts.items():
        for address in _LINK.findall(_BLOCK.sub("", text)):
            file, _, anchor = address.partition("#")
            target = (page.parent / file).resolve() if file else page
            if "://" in address:
                continue
            if not target.exists() or (anchor and anchor not in known.get(target, ())):
                wrong.append(f"{page.relative_to(ROOT)}: {address}")
    assert not wrong, "\n".join(wrong)


def test_the_front_page_lists_every_page() -> None:
    front = ROOT / "docs" / "README.md"
    listed = {(front.parent / link.partition("#")[0]).resolve() for link in _LINK.findall(front.read_text("utf-8"))}
    pages = {page for page in front.parent.glob("*/*.md") if page.parent.name != "checks"}
    assert sorted(str(page.relative_to(ROOT)) for page in pages - listed) == [], "add them to docs/README.md"
