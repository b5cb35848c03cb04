"""Two faults at once that have nothing to do with each other: verify names both, and nothing that follows from them."""

import pytest

from tests.health.faults import look, table
from tests.health.faults.catalogue import MODES, PAIRS
from tests.health.faults.mode import Mode, ServerMode, chosen
from tests.support import health
from tests.support.health import LiveProject
from tests.support.trial import Trial

_BY_ID = {mode.id: mode for mode in MODES}
_ON_SERVERS = [pair for pair in PAIRS if any(isinstance(_BY_ID[id], ServerMode) for id in pair)]
_ROLLED_BACK = [pair for pair in PAIRS if pair not in _ON_SERVERS]


@pytest.mark.parametrize("pair", _ROLLED_BACK, ids="+".join)
def test_both_faults_are_root_causes(pair: tuple[str, str], project: Trial, record_property: table.Record) -> None:
    modes = [mode for mode in chosen(MODES, *pair) if isinstance(mode, Mode)]
    for mode in modes:
        mode.inject(project)
    roots = health.roots(project.report(role=modes[0].role))
    expected = {id for mode in modes for id in (mode.names, *mode.also)}
    record_property(table.PAIR, _row(pair, [mode.names for mode in modes], list(roots)))
    assert set(roots) == expected


@pytest.mark.long
@pytest.mark.parametrize("pair", _ON_SERVERS, ids="+".join)
def test_both_faults_of_a_server_are_root_causes(
    pair: tuple[str, str], live: LiveProject, record_property: table.Record
) -> None:
    modes = chosen(MODES, *pair)
    for mode in modes:
        mode.inject(live)
    roots = health.roots(look.verify(live, modes[0]))
    expected = {id for mode in modes for id in (mode.names, *mode.also)}
    record_property(table.PAIR, _row(pair, [mode.names for mode in modes], list(roots)))
    assert set(roots) == expected


def _row(pair: tuple[str, str], expected: list[str], roots: list[str]) -> dict[str, object]:
    return {"ids": " and ".join(pair), "expected": expected, "roots": roots}


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 15
    assert len(set(map(frozenset, PAIRS))) == len(PAIRS)
    assert all(_BY_ID[first].names != _BY_ID[second].names for first, second in PAIRS)
