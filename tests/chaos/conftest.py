"""What the tests of this folder share: somebody's project, processes that begin quickly, and a seed to repeat a run."""

import os
import random
from multiprocessing.context import ForkServerContext

import pytest

from autosync_db.local.cluster import Cluster
from tests.chaos import children, ground


@pytest.fixture(scope="session")
def template(blank_template: Cluster) -> Cluster:
    """A stopped cluster with somebody's project."""
    return ground.template(blank_template)


@pytest.fixture(scope="session")
def context() -> ForkServerContext:
    """Where processes begin with everything imported."""
    return children.context()


@pytest.fixture
def seed() -> int:
    """What choices begin from: CHAOS_SEED, or a new number in each test; printed, so that it can be repeated."""
    chosen = int(os.environ.get("CHAOS_SEED") or random.SystemRandom().randrange(2**32))
    print(f"repeat with: make chaos CHAOS_SEED={chosen}")
    return chosen
