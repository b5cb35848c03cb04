"""`scaffold workflow`: what is written where, and what is never overwritten."""

from pathlib import Path

import pytest

from autosync_db import scaffold
from autosync_db.errors import UsageError
from tests.support import command

WORKFLOW = scaffold.WORKFLOWS["github"]


def test_it_writes_once_and_then_finds_nothing_to_do() -> None:
    first = command.succeeds(command.run("scaffold", "workflow", "--format", "json"))
    assert first.json() == {"written": [str(WORKFLOW)]}
    second = command.succeeds(command.run("scaffold", "workflow", "--format", "json"))
    assert second.json() == {"written": []}
    assert "nothing to do" in second.err


def test_an_edited_file_is_kept_without_force() -> None:
    WORKFLOW.parent.mkdir(parents=True)
    WORKFLOW.write_text("# mine\n")
    result = command.run("scaffold", "workflow")
    assert f"{WORKFLOW} exists and differs" in command.refused(result, 2)
    assert "--path" in result.hints[0]
    assert WORKFLOW.read_text() == "# mine\n"
    command.succeeds(command.run("scaffold", "workflow", "--force"))
    assert "jobs:" in WORKFLOW.read_text()


def test_the_shell_variant_names_itself_and_can_go_elsewhere() -> None:
    command.succeeds(command.run("scaffold", "workflow", "--kind", "shell", "--path", "scripts/ci", "--target", "eu"))
    text = Path("scripts/ci").read_text()
    assert "scripts/ci check" in text
    assert "AUTOSYNC_TARGET='eu'" in text


def test_a_name_that_would_break_out_of_its_place_is_refused() -> None:
    for name, value in (
        ("branch", 'x"]\n'),
        ("target", "a'b"),
        ("secret", "database; rm"),
        ("secret", "lower"),
        ("target", "${{ x }}"),
    ):
        with pytest.raises(UsageError, match="cannot stand in a CI file"):
            scaffold.write_workflow("github", **{name: value})  # type: ignore[arg-type]
        assert not WORKFLOW.exists(), (name, value)
