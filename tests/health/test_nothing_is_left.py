"""A test that fails in the middle of a fault leaves no broken project to the next test."""

from contextlib import suppress

import pytest

from autosync_db.local.cluster import Cluster
from tests.support import trial
from tests.support.health import LiveProject
from tests.support.workshop import Workshop


def test_what_a_failed_test_did_in_a_transaction_is_rolled_back(untouched: LiveProject) -> None:
    with suppress(ZeroDivisionError), trial.begun(untouched) as project:
        project.admin.execute("drop extension pg_net; alter role postgres nologin")
        project.stub.answer(500)
        raise ZeroDivisionError
    with trial.begun(untouched) as project:
        project.must_be_healthy()


@pytest.mark.long
def test_server_that_a_failed_test_broke_is_thrown_away(quiet_template: Cluster) -> None:
    workshop = Workshop(quiet_template)
    try:
        with suppress(ZeroDivisionError), workshop.lent() as project:
            # no check speaks of it
            project.admin.execute("alter role postgres connection limit 50")
            raise ZeroDivisionError
        with workshop.lent() as project:
            project.must_be_healthy()
            assert workshop.made == 2
            # what takes no restart is put right
            project.stop_worker()
            project.pause()
            project.stub.answer(500)
        with workshop.lent() as project:
            project.must_be_healthy()
            assert workshop.made == 2
    finally:
        workshop.discard()
