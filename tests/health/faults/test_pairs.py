"""Two faults at once that have nothing to do with each other: verify names both, and nothing that follows from them."""

from collections.abc import Iterable

import pytest

from autosync_db.health.model import Status
from tests.health.faults import look
from tests.health.faults.catalogue import MODES, PAIRS
from tests.health.faults.conftest import Note
from tests.health.faults.mode import Mode, ServerMode, chosen
from tests.health.faults.table import PAIR
from tests.support import health
from tests.support.health import LiveProject
from tests.support.trial import Trial
from tests.support.workshop import Workshop

_BY_ID = {mode.id: mode for mode in MODES}
_ON_SERVERS = [pair for pair in PAIRS if any(isinstance(_BY_ID[id], ServerMode) for id in pair)]
_ROLLED_BACK = [pair for pair in PAIRS if pair not in _ON_SERVERS]


@pytest.mark.parametrize("pair", _ROLLED_BACK, ids="+".join)
def test_both_faults_are_root_causes(pair: tuple[str, str], project: Trial, note: Note, measured_on: str) -> None:
    modes = [mode for mode in chosen(MODES, *pair) if isinstance(mode, Mode)]
    for mode in modes:
        mode.inject(project)
    roots = health.roots(project.report(role=modes[0].role))
    expected = {id for mode in modes for id in (mode.names, *mode.also)}
    agrees = note(PAIR, measured_on, *_cells(pair, roots))
    assert set(roots) == expected
    agrees()


@pytest.mark.long
@pytest.mark.parametrize("pair", _ON_SERVERS, ids="+".join)
def test_both_faults_of_a_server_are_root_causes(
    pair: tuple[str, str], live: LiveProject, workshop: Workshop, note: Note
) -> None:
    modes = chosen(MODES, *pair)
    for mode in modes:
        mode.inject(live)
    roots = health.roots(look.verify(live, modes[0]))
    expected = {id for mode in modes for id in (mode.names, *mode.also)}
    agrees = note(PAIR, workshop.environment, *_cells(pair, roots))
    assert set(roots) == expected
    agrees()


# each is named before the one behind it
_ORDERED = ("B3", "C4", "E1", "F7", "H6", "I1", "J1")


def test_the_fault_nearest_to_the_beginning_of_the_chain_is_named_first(project: Trial) -> None:
    modes = [mode for mode in chosen(MODES, *_ORDERED) if isinstance(mode, Mode)]
    for mode in reversed(modes):
        mode.inject(project)
    roots = [id for id, status in health.roots(project.report()).items() if status is Status.CRITICAL]
    assert roots == [mode.names for mode in modes]


def _cells(pair: tuple[str, str], roots: Iterable[str]) -> tuple[str, str]:
    return " and ".join(pair), ", ".join(f"`{id}`" for id in roots)


def test_there_are_enough_pairs() -> None:
    assert len(PAIRS) >= 15
    assert len(set(map(frozenset, PAIRS))) == len(PAIRS)
    assert all(_BY_ID[first].names != _BY_ID[second].names for first, second in PAIRS)
