"""What was released is never edited: a change of the schema is a new revision (CONTRIBUTING.md).

`python -m tests.schema.test_frozen` adds the files that are new to the list, and changes no line of it.
"""

import ast
import hashlib
import json
from pathlib import Path

ALEMBIC = Path(__file__).parents[2] / "alembic"
LIST = Path(__file__).with_name("frozen.json")


def hashes() -> dict[str, str]:
    """Return the SHA-256 of every frozen file, by its path in alembic/."""
    files = sorted([*ALEMBIC.glob("versions/*.py"), *ALEMBIC.glob("adoption/*.sql")])
    return {path.relative_to(ALEMBIC).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_released_revisions_are_as_they_were() -> None:
    assert hashes() == json.loads(LIST.read_text(encoding="utf-8")), (
        "write a new revision instead of editing one; a new one is added by: python -m tests.schema.test_frozen"
    )


def test_revisions_import_no_code_that_may_change() -> None:
    live = {
        (path.name, module)
        for path in ALEMBIC.glob("versions/*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in ([node.module] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names])
        if module not in {"pathlib", "alembic"}
    }
    assert live == set()


def test_every_file_of_an_adoption_is_run_by_a_revision() -> None:
    used = "".join(path.read_text(encoding="utf-8") for path in ALEMBIC.glob("versions/*.py"))
    assert [path.name for path in ALEMBIC.glob("adoption/*.sql") if f'"{path.stem}"' not in used] == []


if __name__ == "__main__":
    known = json.loads(LIST.read_text(encoding="utf-8"))
    LIST.write_text(json.dumps(dict(sorted((hashes() | known).items())), indent=2) + "\n", encoding="utf-8")
