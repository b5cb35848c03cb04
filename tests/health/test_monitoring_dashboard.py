"""The dashboard of the kit: Grafana's form, and its queries on a real Prometheus that reads a text of verify."""

import functools
import json
import re
from pathlib import Path
from typing import Any

import pytest

from autosync_db import resources
from autosync_db.config import Settings
from autosync_db.report import as_prometheus
from autosync_db.scaffold import monitoring
from tests.health.actions import answers, overdue, steps, waiting_call
from tests.health.faults.modes.alerts import receiver
from tests.health.test_monitoring_rules import printed
from tests.support import cases, clusters, prometheus, trial
from tests.support.health import LiveProject
from tests.support.trial import Trial

_WORDS = {"target": ".*", "cron_job": ".*", "__rate_interval": "1m"}


def dashboard() -> Any:
    """Return the dashboard as it is shipped."""
    return json.loads(resources.read("templates/monitoring/dashboard.json"))


def queries() -> list[str]:
    """Return every query of the panels, with the variables in place."""
    found = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]
    return [re.sub(r"\$(\w+)", lambda word: _WORDS[word[1]], query) for query in found]


def test_the_dashboard_has_grafanas_form_and_depends_on_no_installation() -> None:
    board = dashboard()
    assert board["uid"] == "autosync-db"
    assert 36 <= board["schemaVersion"] <= 42
    assert "id" not in board, "it is given by the installation"
    assert not {"__inputs", "__requires"} & set(board)
    names = [variable["name"] for variable in board["templating"]["list"]]
    assert names == ["datasource", "target", "cron_job"]
    source = {"type": "prometheus", "uid": "${datasource}"}
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    with cases.collected() as case:
        for panel in panels:
            with case(panel["title"]):
                assert panel["type"] in {"stat", "table", "timeseries"}
                assert panel["description"]
                assert panel["datasource"] == source
                assert {json.dumps(target["datasource"]) for target in panel["targets"]} == {json.dumps(source)}
                assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])
                assert {"gridPos", "fieldConfig", "options"} <= set(panel)
                place = panel["gridPos"]
                assert place["x"] + place["w"] <= 24
    cells = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(cells) == len(set(cells)), "two panels in one place"


def test_every_series_of_the_dashboard_and_the_rules_is_one_that_verify_has() -> None:
    known = {f"autosync_{name}" for name in as_prometheus.SERIES}
    known |= {"autosync_healthy", "autosync_checked_at_seconds", "autosync_root_causes", "autosync_check_status"}
    used = re.findall(r"\bautosync_\w+", resources.read("templates/monitoring/rules.yml.j2") + " ".join(queries()))
    assert set(used) <= known
    # what nobody looks at need not be read
    left = known - set(used)
    assert left == {"autosync_root_causes", "autosync_check_status", "autosync_job_oldest_overdue_timestamp_seconds"}


def _busy(project: Trial) -> None:
    """Let there be something of everything that is drawn."""
    steps(
        answers(200, {"ok": True, "duration_ms": 1200}),
        answers(500, {"error": "no"}),
        receiver("given_up"),
        overdue,
        waiting_call("20 seconds"),
    )(project)
    project.admin.execute(
        "insert into cron.job_run_details (jobid, runid, status, start_time, end_time)"
        " select jobid, nextval('cron.runid_seq'), 'succeeded', now(), now() from cron.job"
        " where jobname = 'autosync-keep-house'"
    )


@pytest.mark.long
@pytest.mark.one_version
def test_a_real_prometheus_has_data_for_every_query(untouched: LiveProject, tmp_path: Path) -> None:
    with trial.begun(untouched) as project:
        _busy(project)
        text = printed(project)
    monitoring.write_kit(Settings(), None, tmp_path)
    (tmp_path / "collector").mkdir()
    (tmp_path / "collector" / "default.prom").write_text(text)
    with (
        prometheus.node_exporter(tmp_path / "collector") as exporter,
        prometheus.prometheus(exporter, tmp_path / monitoring.RULES, tmp_path / "prometheus") as address,
    ):
        with cases.collected() as case:
            for query in queries():
                with case(query):
                    # a subquery of hours has a sample only where one was taken at a full hour
                    shown = query.replace("[1d:1h]", "[1d:1s]")
                    found = clusters.wait_for(functools.partial(prometheus.asked, address, shown), "data", 10)
                    assert all(sample["value"][1] not in {"NaN", "+Inf"} for sample in found)
        # the scrape's label job does not hide which cron job is meant
        [calls] = prometheus.asked(address, 'autosync_job_calls_last_hour{cause="function"}')
        assert (calls["metric"]["job"], calls["metric"]["cron_job"]) == ("node", "auto-sync-cron-job")
        assert {group["name"] for group in prometheus.rule_groups(address)} == {
            "autosync-db-exporter", "autosync-db-checks", "autosync-db-work",
        }  # fmt: skip
        query = 'ALERTS{alertname="AutosyncCallsFailing"}'
        clusters.wait_for(lambda: prometheus.asked(address, query), "the alert", 30)
