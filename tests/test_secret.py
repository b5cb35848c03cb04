"""A Secret hides itself wherever Python would show a value."""

import copy
import json
import logging
import pickle
import traceback

import pytest

from autosync_db.config import Target
from autosync_db.report import as_json
from autosync_db.secret import Secret
from tests.support import keys


@pytest.fixture
def canary() -> Secret:
    return keys.secret()


def test_only_reveal_returns_the_value() -> None:
    assert Secret("x").reveal() == "x"


def test_no_way_of_formatting_shows_it(canary: Secret, caplog: pytest.LogCaptureFixture) -> None:
    shown = [
        str(canary),
        repr(canary),
        f"{canary}",
        f"{canary!r}",
        f"{canary!s:>40}",
        format(canary, "<3"),
        repr([canary]),
        repr({"key": canary}),
        ascii(canary),
    ]
    logging.getLogger("test").warning("key %s", canary)
    shown.append(caplog.text)
    assert not any(canary.reveal() in text for text in shown)
    assert all("***" in text for text in shown)


def test_what_holds_it_does_not_show_it(canary: Secret) -> None:
    target = Target("production", canary, None, None)
    assert canary.reveal() not in repr(target)
    assert as_json.dumps([canary]) == '[\n  "***"\n]'


def test_it_is_not_serialised_by_accident(canary: Secret) -> None:
    with pytest.raises(TypeError):
        pickle.dumps(canary)
    with pytest.raises(TypeError):
        json.dumps(canary)


def test_a_traceback_with_locals_does_not_show_it(canary: Secret) -> None:
    def fail(key: Secret) -> None:
        raise RuntimeError(f"with {key}")

    try:
        fail(canary)
    except RuntimeError as error:
        shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert "key = " in shown
    assert canary.reveal() not in shown


def test_it_has_no_attribute_to_print(canary: Secret) -> None:
    assert not hasattr(canary, "__dict__")
    with pytest.raises(TypeError):
        copy.copy(canary)


def test_equality_truth_and_hash_are_those_of_the_value() -> None:
    assert Secret("a") == Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert {Secret("a"), Secret("a")} == {Secret("a")}
    assert Secret("a")
    assert not Secret("")
