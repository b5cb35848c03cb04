"""Which project a screen names: of a database alone, by what is stored there."""

import pytest

from autosync_db.config import Target
from autosync_db.health import place
from tests.support.trial import Trial


@pytest.mark.parametrize(
    ("stored", "shown"),
    [
        ("https://a]b.example", None),
        ("http://[x", None),
        ("http://[::1]:54321", "http://[::1]:54321"),
        ("https://somebody@a.example", "https://a.example"),
    ],
)
def test_a_stored_address_names_the_project_and_half_a_bracket_none(
    stored: str, shown: str | None, project: Trial
) -> None:
    project.admin.execute("update public.pg_cron_secrets set secret = %s where name = 'project_url'", [stored])
    project.admin.execute("delete from autosync.setting where name = 'binding'")
    target = Target("default", project.cluster.url(), None, None)
    assert place.look(project.owner, target).project == shown
