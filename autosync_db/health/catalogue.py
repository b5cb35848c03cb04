"""The catalogue of health checks: one module, one page, one test each, and mostly one query.

A check is found because its module lies in health/checks/; there is no other registry. Its query is
sql/checks/<id>.sql, its page docs/checks/<id>.md.
"""

import pkgutil
from functools import cache
from graphlib import TopologicalSorter
from importlib import import_module
from pathlib import Path

from autosync_db import resources
from autosync_db.errors import unknown
from autosync_db.health.model import Check


@cache
def all_checks() -> dict[str, Check]:
    """Return every check by id, causes before consequences."""
    # by name: the check of the role's privileges reads the catalogue
    found: dict[str, Check] = {id: import_module(f"autosync_db.health.checks.{id}").CHECK for id in ids()}
    order = TopologicalSorter(
        {id: (*found[id].needs, *found[id].causes, *found[id].overlaps) for id in found}
    ).static_order()
    return {id: found[id] for id in order}


def ids() -> list[str]:
    """Return the id of every check, without loading any."""
    return sorted(module.name for module in pkgutil.iter_modules([str(Path(__file__).with_name("checks"))]))


def find(id: str) -> Check:
    """Return the check called `id`. Raises UsageError when there is none."""
    try:
        return all_checks()[id]
    except KeyError:
        raise unknown("check", id, all_checks(), hint="list them with: autosync-db explain") from None


def query(id: str) -> str:
    """Return the text of a check's query; one that speaks of jobs knows its job as `checked.name`.

    A check that looks by other means has none.
    """
    return resources.read(f"sql/checks/{id}.sql")
