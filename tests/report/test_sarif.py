"""SARIF 2.1.0: what the standard and GitHub's code scanning ask for, and nothing that is secret."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from autosync_db.report import as_sarif
from autosync_db.report.as_sarif import Place, Result, Rule
from tests.support import command, keys

# of the published schema: what each part must have, and may have, as far as we write it
REQUIRED = {"log": {"version", "runs"}, "run": {"tool"}, "rule": {"id"}, "result": {"message"}}
ALLOWED = {
    "run": {"tool", "automationDetails", "invocations", "originalUriBaseIds", "columnKind", "results"},
    "rule": {"id", "shortDescription", "fullDescription", "help", "defaultConfiguration", "properties"},
    "result": {"ruleId", "ruleIndex", "level", "message", "locations", "partialFingerprints"},
    "location": {"physicalLocation", "logicalLocations"},
}
# no scheme and no leading slash; what is no letter of an address is escaped
RELATIVE = re.compile(r"(?![A-Za-z][A-Za-z0-9+.-]*:)[A-Za-z0-9._~!$&'()*+,;=:@%-][A-Za-z0-9._~!$&'()*+,;=:@%/-]*")


def _validated(log: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the results of a log that is valid as far as tools look."""
    assert set(log) == {"$schema", *REQUIRED["log"]}
    assert (log["version"], log["$schema"]) == ("2.1.0", as_sarif.SCHEMA)
    [run] = log["runs"]
    assert REQUIRED["run"] <= set(run) <= ALLOWED["run"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "autosync-db"
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", driver["version"])
    assert run["automationDetails"]["id"].endswith("/"), "a category, without the number of a run"
    assert all(isinstance(one["executionSuccessful"], bool) for one in run["invocations"])
    assert len({rule["id"] for rule in driver["rules"]}) == len(driver["rules"])
    for rule in driver["rules"]:
        assert REQUIRED["rule"] <= set(rule) <= ALLOWED["rule"]
        assert rule["help"]["text"]
        assert rule["shortDescription"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note", "none"}
        if "properties" in rule:
            assert 0 < float(rule["properties"]["security-severity"]) <= 10
            assert isinstance(rule["properties"]["security-severity"], str), "GitHub takes a text only"
    for result in run["results"]:
        _validate_result(result, run)
    results: list[dict[str, Any]] = run["results"]
    return results


def _validate_result(result: dict[str, Any], run: dict[str, Any]) -> None:
    assert REQUIRED["result"] <= set(result) <= ALLOWED["result"]
    assert result["message"]["text"]
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    assert result["level"] in {"error", "warning", "note", "none"}
    assert all(isinstance(value, str) for value in result["partialFingerprints"].values())
    for location in result.get("locations", ()):
        assert location
        assert set(location) <= ALLOWED["location"]
        if physical := location.get("physicalLocation"):
            artifact = physical["artifactLocation"]
            if "uriBaseId" in artifact:
                assert artifact["uriBaseId"] in run["originalUriBaseIds"]
                assert RELATIVE.fullmatch(artifact["uri"])
            else:
                assert artifact["uri"].startswith("file:///")
            assert physical.get("region", {"startLine": 1})["startLine"] >= 1


def _fingerprints(results: list[dict[str, Any]]) -> list[str]:
    return [result["partialFingerprints"]["primaryLocationLineHash"] for result in results]


class TestScan:
    """`secrets scan --format sarif`."""

    def _scan(self, folder: Path, *arguments: str, code: int = 3) -> dict[str, Any]:
        result = command.run("secrets", "scan", "--format", "sarif", *arguments, folder=folder)
        assert result.code == code, result.err
        found: dict[str, Any] = result.json()
        return found

    def test_a_finding_has_rule_place_and_fingerprint_and_no_secret(self, tmp_path: Path) -> None:
        key, other = keys.legacy(ref=keys.PROJECT_REF), keys.secret()
        folder = tmp_path / "supabase" / "a b é"
        folder.mkdir(parents=True)
        (folder / "1.sql").write_text(f"--\n-- {key.reveal()}\n-- {other.reveal()}\n")
        password = keys.secret().reveal()[-12:]
        (tmp_path / ".env").write_text(f"DATABASE_URL=postgres://u:{password}@db.example.com/x\n")
        log = self._scan(tmp_path)
        results = _validated(log)
        places = [one["locations"][0]["physicalLocation"] for one in results]
        assert [(one["artifactLocation"]["uri"], one["region"]["startLine"]) for one in places] == [
            (".env", 1), ("supabase/a%20b%20%C3%A9/1.sql", 2), ("supabase/a%20b%20%C3%A9/1.sql", 3),
        ]  # fmt: skip
        assert [one["ruleId"] for one in results] == [
            f"secret-in-file/{kind}" for kind in ("database_password", "legacy", "secret")
        ]
        assert {one["level"] for one in results} == {"error"}
        assert keys.PROJECT_REF in results[1]["message"]["text"]
        text = json.dumps(log)
        for secret in (key.reveal()[-30:], other.reveal()[-20:], password):
            assert secret not in text
        assert str(tmp_path) not in text, "where the folder is, is nobody's business"

    def test_a_finding_is_known_again_when_lines_move(self, tmp_path: Path) -> None:
        one, other = keys.secret().reveal(), keys.secret().reveal()
        path = tmp_path / "job.sql"
        path.write_text(f"{one}\n{other}\n{one}\n")
        before = _fingerprints(_validated(self._scan(tmp_path)))
        path.write_text(f"--\n--\n{one}\n--\n{other}\n{one}\n")
        assert _fingerprints(_validated(self._scan(tmp_path))) == before
        assert len(set(before)) == 3
        path.rename(tmp_path / "other.sql")
        assert not set(before) & set(_fingerprints(_validated(self._scan(tmp_path))))

    def test_nothing_found_is_an_empty_list_and_public_keys_are_notes(self, tmp_path: Path) -> None:
        (tmp_path / "key").write_text(keys.legacy("anon").reveal())
        assert _validated(self._scan(tmp_path, code=0)) == []
        [found] = _validated(self._scan(tmp_path, "--all", code=0))
        assert found["level"] == "note"

    def test_a_file_elsewhere_has_its_whole_address(self, tmp_path: Path) -> None:
        (tmp_path / "here").mkdir()
        (tmp_path / "key").write_text(keys.secret().reveal())
        for name in (str(tmp_path / "key"), "../key"):
            [found] = _validated(self._scan(tmp_path / "here", name))
            uri = found["locations"][0]["physicalLocation"]["artifactLocation"]
            assert uri == {"uri": (tmp_path / "key").as_uri()}
        (tmp_path / "here" / "key").write_text(keys.secret().reveal())
        [found] = _validated(self._scan(tmp_path / "here", str(tmp_path / "here" / "key")))
        assert found["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "key"


def test_an_object_of_a_database_has_a_logical_location() -> None:
    rules = [Rule("job-fails", "a cron job fails", "see its runs", "warning")]
    results = [
        Result("job-fails", "3 of 3 runs failed", Place(object="cron job nightly", object_kind="object")),
        Result("job-fails", "never ran", Place("autosync.toml", 3, "cron job hourly"), "note"),
        Result("job-fails", "something else"),
    ]
    found = _validated(as_sarif.document(rules, results, category="audit", home="settings/sync.toml"))
    logical = [{"fullyQualifiedName": "cron job nightly", "kind": "object"}]
    # without a file GitHub refuses all
    physical = {
        "artifactLocation": {"uri": "settings/sync.toml", "uriBaseId": "SRCROOT"},
        "region": {"startLine": 1},
    }
    assert found[0]["locations"] == [{"physicalLocation": physical, "logicalLocations": logical}]
    assert set(found[1]["locations"][0]) == {"physicalLocation", "logicalLocations"}
    assert found[1]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "autosync.toml"
    assert found[2]["locations"] == [{"physicalLocation": physical}]
    assert [one["level"] for one in found] == ["warning", "note", "warning"]
    assert len(set(_fingerprints(found))) == 3


def test_what_could_not_be_read_is_said() -> None:
    log = as_sarif.document([], [], category="scan", unread=[("a/b", "Permission denied")])
    _validated(log)
    [invocation] = log["runs"][0]["invocations"]
    assert invocation["executionSuccessful"] is False
    [note] = invocation["toolExecutionNotifications"]
    assert note["message"]["text"] == "cannot be read: Permission denied"


def test_a_rule_that_is_not_there_is_a_bug() -> None:
    with pytest.raises(KeyError):
        as_sarif.document([], [Result("unknown", "x")], category="scan")
