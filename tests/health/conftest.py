"""The same healthy project as the checks have."""

from tests.health.checks.conftest import project as project  # a fixture
