"""The kit at work: what the unit writes, through a node exporter into Prometheus, both real, while a project breaks."""

import re
import shlex
from collections.abc import Callable
from pathlib import Path

import pytest

from autosync_db.config import Settings
from autosync_db.scaffold import monitoring
from tests.health.actions import answers, answers_again, sql
from tests.support import clusters, command, prometheus
from tests.support.health import LiveProject

pytestmark = [pytest.mark.long, pytest.mark.one_version]

Act = Callable[[LiveProject], object]


def _alert_says(project: LiveProject, shown: dict[str, str]) -> None:
    """Run the command of an alert, as somebody who was called at night would."""
    words = shlex.split(shown["command"])
    assert words[:2] == ["autosync-db", "repair"]
    project.run_command(*words[1:], "--yes")
    project.quiet_house()


# what is done, which alert it must come to, and what ends it: none is its own command
FAULTS: tuple[tuple[str, Act, Act | None], ...] = (
    ("AutosyncCallsFailing", answers(401, {"message": "Invalid JWT"}, ticks=2), answers_again),
    ("AutosyncCallsFailing", answers(500, {"error": "no"}, ticks=2), answers_again),
    (
        "AutosyncJobStopped",
        sql("select cron.alter_job(jobid, active := false) from cron.job where jobname = 'auto-sync-cron-job'"),
        None,
    ),
    ("AutosyncHousekeepingStopped", sql("select cron.unschedule('autosync-keep-house')"), None),
    ("AutosyncDatabaseUnreachable", LiveProject.stop_server, LiveProject.start_server),
)


def test_alerts_fire_and_end_with_the_faults_of_a_project(live: LiveProject, tmp_path: Path) -> None:
    monitoring.write_kit(Settings(), None, tmp_path)
    written, collector = tmp_path / "default.prom", tmp_path / "collector"
    unit = (tmp_path / "autosync-db-metrics.service").read_text()
    [start] = re.findall(r"^ExecStart=(.*)$", unit, re.MULTILINE)
    arguments = shlex.split(start.replace("/var/lib/autosync-db/default.prom", str(written)))[1:]
    # as the unit's comments say: the collector's folder has a link
    collector.mkdir()
    link = collector / written.name
    link.symlink_to(written)
    # minutes of patience become seconds; nothing else of the rules is changed
    rules = tmp_path / "quick.yml"
    rules.write_text(re.sub(r"for: \d+[mh]$", "for: 1s", (tmp_path / monitoring.RULES).read_text(), flags=re.MULTILINE))

    def timer_runs() -> None:
        result = command.run(*arguments, database=live.cluster.url())
        assert result.code in {0, 3, 4}, result.err

    def fires(*names: str) -> dict[str, dict[str, str]]:
        clusters.wait_for(lambda: set(prometheus.firing(address)) == set(names), f"{names} alone", 30)
        return prometheus.firing(address)

    timer_runs()
    with (
        prometheus.node_exporter(collector) as exporter,
        prometheus.prometheus(exporter, rules, tmp_path / "prometheus") as address,
    ):
        fires()
        # with several targets there is a file for each
        other = collector / "other.prom"
        other.write_text(written.read_text().replace('target="default"', 'target="other"'))
        clusters.wait_for(lambda: len(prometheus.asked(address, "autosync_healthy")) == 2, "both files", 10)
        assert prometheus.asked(address, "node_textfile_scrape_error")[0]["value"][1] == "0"
        fires()
        other.unlink()
        for name, breaks, ends in FAULTS:
            breaks(live)
            timer_runs()
            shown = fires(name)[name]
            assert shown["target"] == "default"
            _alert_says(live, shown) if ends is None else ends(live)
            timer_runs()
            fires()
        # the command fails, the file goes: what is old says so, and what is absent
        link.unlink()
        fires("AutosyncMetricsAbsent")
        link.symlink_to(written)
        fires()
