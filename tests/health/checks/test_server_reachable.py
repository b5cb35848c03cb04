"""server_reachable: a server that cannot be reached is the one root cause, in every format that programs read."""

import json
from xml.etree import ElementTree

import pytest

from autosync_db.health import catalogue
from autosync_db.local.cluster import free_port
from autosync_db.secret import Secret
from tests.support import command


def _nowhere() -> Secret:
    return Secret(f"postgresql://postgres@127.0.0.1:{free_port()}/postgres")


def test_an_unreachable_server_is_the_only_root_cause() -> None:
    result = command.run("verify", "--format", "json", database=_nowhere())
    report = json.loads(result.out)
    assert (result.code, report["status"], report["root_causes"]) == (4, "critical", ["server_reachable"])
    others = [check for check in report["checks"] if check["id"] != "server_reachable"]
    assert len(others) == len([check for check in catalogue.all_checks().values() if not check.probes]) - 1
    assert all((check["status"], check["blocked_by"]) == ("blocked", ["server_reachable"]) for check in others)
    assert "error: " in result.err
    (seen,) = [check for check in report["checks"] if check["id"] == "server_reachable"]
    assert seen["evidence"][1] == {
        "object": "what helps", "detail": "check host and port, and that the server is running", "facts": {}
    }  # fmt: skip


@pytest.mark.parametrize("format", ["junit", "github", "prometheus", "nagios"])
def test_every_machine_format_says_so(format: str) -> None:
    result = command.run("verify", "--format", format, database=_nowhere())
    assert result.code == (2 if format == "nagios" else 4)
    assert "server_reachable" in result.out
    if format == "junit":
        assert ElementTree.fromstring(result.out.encode()).get("failures") == "1"
