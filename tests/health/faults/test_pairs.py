"""Two faults at once that have nothing to do with each other: verify names both, and nothing that follows from them."""

from contextlib import ExitStack

import pytest

from tests.health.faults import table
from tests.health.faults.catalogue import MODES, PAIRS
from tests.health.faults.mode import chosen
from tests.health.faults.workshop import Workshop, mended, verify
from tests.support import health


@pytest.mark.parametrize("pair", PAIRS, ids=["+".join(pair) for pair in PAIRS])
def test_both_faults_are_root_causes(pair: tuple[str, str], workshop: Workshop, record_property: table.Record) -> None:
    first, second = chosen(MODES, *pair)
    project = workshop.healthy()
    first.inject(project)
    second.inject(project)
    found = verify(project, first)
    expected = {first.names, second.names, *first.also, *second.also}
    record_property(
        table.PAIR,
        {"ids": " and ".join(pair), "expected": [first.names, second.names], "roots": list(found.roots)},
    )
    assert set(found.roots) == expected, health.described(found.report)

    with ExitStack() as stack:
        for mode in (second, first):
            stack.enter_context(mended(project, mode))
        project.tick()
        left = verify(project)
        assert not left.roots, health.described(left.report)


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 15
    assert len(set(map(frozenset, PAIRS))) == len(PAIRS)
    modes = {mode.id: mode for mode in MODES}
    assert all(modes[first].names != modes[second].names for first, second in PAIRS)
