"""The monitoring kit: rules for Prometheus, a dashboard for Grafana, and a timer that writes what both read."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autosync_db import __version__, resources
from autosync_db.config import Settings, TargetSettings
from autosync_db.config.target import DATABASE_VARIABLES
from autosync_db.errors import UsageError
from autosync_db.scaffold import names
from autosync_db.scaffold.files import write

FOLDER = Path("monitoring")
RULES = Path("autosync-db.rules.yml")
DASHBOARD = Path("autosync-db.dashboard.json")
_UNIT = "autosync-db-metrics"
# how verify calls the only database of settings without targets
_UNNAMED = "default"
_PLACE = r"[A-Za-z0-9._/@+-]+"


@dataclass(frozen=True, slots=True)
class Exporter:
    """What writes the figures of one target: its unit, and the variable by which it comes at the database."""

    target: str | None
    variable: str
    unit: str
    name: str

    @property
    def label(self) -> str:
        """Return what the label `target` of its series says."""
        return self.target or _UNNAMED


@dataclass(frozen=True, slots=True)
class Kit:
    """The exporters that a kit was written for, and the files that were not there as they are now."""

    exporters: tuple[Exporter, ...]
    written: tuple[Path, ...]


def exporters(settings: Settings, target: str | None) -> tuple[Exporter, ...]:
    """Return an exporter for the target, for all of the settings, or for the one database where none is named.

    Raises UsageError for a target that the settings do not have, and for a name that cannot stand in a unit.
    """
    if target is not None and target not in settings.targets:
        known = ", ".join(settings.targets)
        raise UsageError(
            f"autosync.toml has no target {target!r}, and the machine that watches has nothing else",
            hint=f"known targets: {known}" if known else f"add a [targets.{target}] table to autosync.toml",
        )
    chosen: Mapping[str | None, TargetSettings] = {
        name: one for name, one in settings.targets.items() if target in {None, name}
    } or {None: TargetSettings()}
    found: list[Exporter] = []
    for name, one in chosen.items():
        _check("--target", name or _UNNAMED, names.TARGET)
        # a target that says its address says it without the password
        usual = "PGPASSWORD" if one.database_url else DATABASE_VARIABLES[0]
        variable = _check("the variable", one.database_url_env or usual, names.VARIABLE)
        plain = re.sub(r"[^A-Za-z0-9_-]", "_", name or _UNNAMED)
        taken = {exporter.name for exporter in found}
        own = names.unused(plain, taken)
        found.append(Exporter(name, variable, f"{_UNIT}-{own}" if len(chosen) > 1 else _UNIT, own))
    return tuple(found)


def write_kit(
    settings: Settings,
    source: Path | None,
    directory: Path = FOLDER,
    *,
    target: str | None = None,
    force: bool = False,
) -> Kit:
    """Write the kit for settings that were read from `source` into `directory`; equal files are left alone.

    Raises UsageError, before anything is written, when a file is there with another content and not `force`.
    """
    found = exporters(settings, target)
    wanted = dict(_files(found, source))
    written = write({directory / path: text.encode() for path, text in wanted.items()}, "--dir", force=force)
    return Kit(found, tuple(written))


def _files(found: Sequence[Exporter], source: Path | None) -> Iterator[tuple[Path, str]]:
    yield (
        RULES,
        resources.render(
            "templates/monitoring/rules.yml.j2",
            targets=[exporter.target for exporter in found if exporter.target],
            labels=[exporter.label for exporter in found],
            units={exporter.label: exporter.unit for exporter in found},
        ),
    )
    yield DASHBOARD, resources.read("templates/monitoring/dashboard.json")
    for exporter in found:
        values = {
            "target": exporter.target,
            "label": exporter.label,
            "variable": exporter.variable,
            "unit": exporter.unit,
            "name": exporter.name,
            "config": None if source is None else source.name,
            "version": __version__,
        }
        if source is not None:
            _check("--config", source.name, _PLACE)
        for kind in ("service", "timer"):
            text = resources.render(f"templates/monitoring/metrics.{kind}.j2", **values)
            yield Path(f"{exporter.unit}.{kind}"), text


def _check(name: str, value: str, pattern: str) -> str:
    return names.check(name, value, pattern, file="a systemd unit")
