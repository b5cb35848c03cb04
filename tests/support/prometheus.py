"""Debian's Prometheus and its node exporter on loopback, as the monitoring kit is used."""

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autosync_db.local import cluster
from tests.support import clusters, tools

_INSTALL = "install it: apt-get install --no-install-recommends "


@contextmanager
def node_exporter(folder: Path) -> Iterator[str]:
    """Run the node exporter with the texts of `folder` and nothing else; yield host and port."""
    program = tools.find("prometheus-node-exporter", install=_INSTALL + "prometheus-node-exporter")
    address = f"127.0.0.1:{cluster.free_port()}"
    arguments = [
        str(program), "--collector.disable-defaults", "--collector.textfile",
        f"--collector.textfile.directory={folder}", f"--web.listen-address={address}",
    ]  # fmt: skip
    with _running(arguments, lambda: bool(_fetched(f"http://{address}/metrics")), "the node exporter"):
        yield address


@contextmanager
def prometheus(exporter: str, rules: Path, folder: Path) -> Iterator[str]:
    """Run Prometheus in a folder of its own, with rules, scraping an exporter each second; yield its address."""
    program = tools.find("prometheus", install=_INSTALL + "prometheus")
    folder.mkdir()
    configuration = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(rules)],
        # as everybody has it: the label job is the scrape's own
        "scrape_configs": [{"job_name": "node", "static_configs": [{"targets": [exporter]}]}],
    }
    (folder / "prometheus.yml").write_text(json.dumps(configuration))
    address = f"http://127.0.0.1:{cluster.free_port()}"
    arguments = [
        str(program), f"--config.file={folder / 'prometheus.yml'}", f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address.removeprefix('http://')}", "--log.level=warn",
    ]  # fmt: skip
    with _running(arguments, lambda: bool(asked(address, "autosync_healthy")), "Prometheus"):
        yield address


@contextmanager
def _running(arguments: list[str], is_up: Callable[[], bool], what: str) -> Iterator[None]:
    process = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def is_decided() -> bool:
        try:
            return process.poll() is not None or is_up()
        except OSError:
            return False

    try:
        clusters.wait_for(is_decided, what, 60)
        assert process.poll() is None, f"{what} ended"
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


def asked(address: str, query: str) -> Any:
    """Return what Prometheus answers to a query: its samples."""
    return _api(address, "query?" + urllib.parse.urlencode({"query": query}))["result"]


def rule_groups(address: str) -> Any:
    """Return the groups of rules that Prometheus has."""
    return _api(address, "rules")["groups"]


def firing(address: str) -> dict[str, dict[str, str]]:
    """Return the annotations and labels of the alerts that fire, by their names."""
    return {
        alert["labels"]["alertname"]: alert["labels"] | alert["annotations"]
        for alert in _api(address, "alerts")["alerts"]
        if alert["state"] == "firing"
    }


def _api(address: str, path: str) -> Any:
    found = json.loads(_fetched(f"{address}/api/v1/{path}"))
    assert found["status"] == "success"
    return found["data"]


def _fetched(address: str) -> bytes:
    with urllib.request.urlopen(address, timeout=10) as answer:
        content: bytes = answer.read()
    return content
