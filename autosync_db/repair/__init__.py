"""Repairs: one module per check that can be mended safely, named as the check.

A repair is found because its module lies in this folder. Where its SQL is fixed, it is sql/repairs/<id>.sql; where it
depends on what was found, the module builds it, with names and values quoted by the driver.
"""

import pkgutil
from functools import cache
from importlib import import_module

from autosync_db.health.drafts import Draft

_NOT_REPAIRS = {"model", "runner", "statement"}


@cache
def catalogue() -> dict[str, Draft]:
    """Return what drafts the repairs of each check, by the check's id."""
    ids = sorted(module.name for module in pkgutil.iter_modules(__path__) if module.name not in _NOT_REPAIRS)
    return {id: import_module(f"{__name__}.{id}").draft for id in ids}
