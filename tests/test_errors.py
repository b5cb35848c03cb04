"""Exit codes are public API."""

import inspect

import pytest

from autosync_db import errors
from autosync_db.errors import AutosyncError, ExitCode

CODES = {
    "UsageError": 2,
    "CheckFailedError": 3,
    "UnreachableError": 4,
    "MigrationError": 5,
    "ConflictError": 5,
    "OutputError": 1,
    "SecretError": 6,
    "StoppedError": 130,
}


def test_every_failure_has_the_code_of_the_contract() -> None:
    found = {
        name: int(kind.exit_code)
        for name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, AutosyncError) and kind is not AutosyncError
    }
    assert found == CODES
    assert [int(code) for code in ExitCode] == [0, 1, 2, 3, 4, 5, 6, 130]


@pytest.mark.parametrize("name", CODES)
def test_a_failure_always_has_a_next_step(name: str) -> None:
    kind = getattr(errors, name)
    with pytest.raises(TypeError):
        kind("message")
    error = kind("message", hint="step")
    assert (str(error), error.message, error.hint) == ("message", "message", "step")
