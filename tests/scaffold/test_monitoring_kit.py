"""`scaffold monitoring`: what is written for which settings, what is never overwritten, and that the unit runs."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from autosync_db.scaffold import monitoring
from autosync_db.secret import Secret
from tests.support import cases, command

FOLDER = monitoring.FOLDER
UNITS = [FOLDER / "autosync-db-metrics.service", FOLDER / "autosync-db-metrics.timer"]
FILES = [FOLDER / monitoring.RULES, FOLDER / monitoring.DASHBOARD, *UNITS]


def scaffolded(*options: str) -> Any:
    """Run the command and return what it wrote."""
    return command.succeeds(command.run("scaffold", "monitoring", "--format", "json", *options)).json()


def settings(unit: Path) -> dict[str, list[str]]:
    """Return what a unit sets, by name."""
    found: dict[str, list[str]] = {}
    for line in unit.read_text().splitlines():
        if line and not line.startswith(("#", "[")):
            name, _, value = line.partition("=")
            found.setdefault(name, []).append(value)
    return found


def test_it_writes_once_and_keeps_what_somebody_changed() -> None:
    assert scaffolded() == {"written": [str(path) for path in FILES], "targets": ["default"]}
    assert scaffolded() == {"written": [], "targets": ["default"]}
    FILES[0].write_text("# mine\n")
    FILES[1].unlink()
    refused = command.run("scaffold", "monitoring")
    assert f"{FILES[0]} exists and differs" in command.refused(refused, 2)
    assert not FILES[1].exists(), "nothing is written before that is known"
    assert scaffolded("--dir", "elsewhere")["written"][0] == f"elsewhere/{monitoring.RULES}"
    assert scaffolded("--force")["written"] == [str(FILES[0]), str(FILES[1])]


def test_each_target_has_a_unit_a_variable_and_an_alert_of_its_own() -> None:
    Path("autosync.toml").write_text(
        '[targets.production]\ndatabase_url_env = "OUR_DB"\n[targets."eu.west"]\n[targets.eu_west]\n'
        'database_url = "host=db.example.com user=postgres"\n'
    )
    assert scaffolded()["targets"] == ["production", "eu.west", "eu_west"]
    rules = yaml.safe_load(FILES[0].read_text())
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    absent = {rule["expr"] for rule in alerts if rule["alert"] == "AutosyncMetricsAbsent"}
    assert absent == {
        f'absent(autosync_checked_at_seconds{{target="{name}"}})' for name in ("production", "eu.west", "eu_west")
    }
    files = {
        path.stem.removeprefix("autosync-db-metrics-"): settings(path) for path in sorted(FOLDER.glob("*.service"))
    }
    assert {name: one["Environment"][0] for name, one in files.items()} == {
        "eu_west": "AUTOSYNC_TARGET=eu.west",
        "eu_west_2": "AUTOSYNC_TARGET=eu_west",
        "production": "AUTOSYNC_TARGET=production",
    }
    text = (FOLDER / "autosync-db-metrics-production.service").read_text()
    assert "write OUR_DB=" in text
    assert "write PGPASSWORD=" in (FOLDER / "autosync-db-metrics-eu_west_2.service").read_text()
    # one of them alone is a kit for it
    scaffolded("--target", "eu_west", "--dir", "one")
    assert sorted(path.name for path in Path("one").glob("*.service")) == ["autosync-db-metrics.service"]


def test_what_cannot_stand_in_a_unit_is_refused() -> None:
    with cases.collected() as case:
        for name, variable in (
            ("a b", "X"),
            ("a\nb", "X"),
            ('a"b', "X"),
            ("a%b", "X"),
            ("a", "X Y"),
            ("a", "X\nUser=root"),
        ):
            with case((name, variable)):
                Path("autosync.toml").write_text(
                    f"[targets.{json.dumps(name)}]\ndatabase_url_env = {json.dumps(variable)}\n"
                )
                command.refused(command.run("scaffold", "monitoring"), 2)
                assert not FOLDER.exists()
    Path("autosync.toml").write_text('[targets.a]\ndatabase_url_env = "X"\n')
    assert "has no target 'b'" in command.refused(command.run("scaffold", "monitoring", "--target", "b"), 2)


def test_every_alert_says_what_is_wrong_how_bad_it_is_and_which_command_helps() -> None:
    scaffolded()
    groups = yaml.safe_load(FILES[0].read_text())["groups"]
    names = [rule["alert"] for group in groups for rule in group["rules"]]
    assert len(names) == len(set(names)) >= 18
    programs = {"autosync-db", "systemctl", "journalctl", "{{"}
    with cases.collected() as case:
        for rule in (rule for group in groups for rule in group["rules"]):
            with case(rule["alert"]):
                assert rule["labels"]["severity"] in {"critical", "warning"}
                assert re.fullmatch(r"\d+[mh]", rule["for"])
                assert set(rule["annotations"]) == {"summary", "description", "command"}
                assert rule["annotations"]["command"].split()[0] in programs
    # without targets in the settings there is none to name
    assert "--target" not in FILES[0].read_text()


def test_the_unit_holds_no_secret_runs_as_nobody_much_and_systemd_takes_it(tmp_path: Path) -> None:
    scaffolded()
    unit = settings(UNITS[0])
    [start] = unit["ExecStart"]
    assert unit["EnvironmentFile"] == ["/etc/autosync-db/default.env"]
    assert "Environment" not in unit, "there is no settings file and no target"
    assert "url" not in start.lower()
    assert (unit["User"], unit["NoNewPrivileges"], unit["ProtectSystem"], unit["CapabilityBoundingSet"]) == (
        ["autosync-db"], ["yes"], ["strict"], [""],
    )  # fmt: skip
    assert settings(UNITS[1])["OnCalendar"] == ["minutely"]
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed; what the unit starts is run by the next test")
    program = tmp_path / "autosync-db"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    UNITS[0].write_text(UNITS[0].read_text().replace("/opt/autosync-db/bin/autosync-db", str(program)))
    done = subprocess.run(
        [analyze, "verify", *(path.absolute() for path in UNITS)],
        env=os.environ | {"SYSTEMD_LOG_LEVEL": "warning"}, check=False, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    # what else the machine has is not ours
    assert [line for line in done.stderr.splitlines() if "autosync" in line] == []
    assert done.returncode == 0, done.stderr


def test_what_the_unit_starts_replaces_the_file_in_one_step(tmp_path: Path) -> None:
    """ExecStart as it is written but for its two places, with the database away: that is in the file, and exit 4."""
    scaffolded()
    [start] = settings(UNITS[0])["ExecStart"]
    file = tmp_path / "state" / "default.prom"
    line = start.replace("/opt/autosync-db/bin/autosync-db", f"{shlex.quote(sys.executable)} -m autosync_db")
    line = line.replace("/var/lib/autosync-db/default.prom", shlex.quote(str(file)))
    secret = "postgresql://postgres:not-for-argv@127.0.0.1:1/postgres"
    environment = command.environment() | {"SUPABASE_DB_URL": secret}

    done = subprocess.run(
        ["sh", "-c", f"umask 022; {line}"], env=environment, check=False, capture_output=True, timeout=90
    )
    assert done.returncode == 4
    first, text = file.stat(), file.read_text()
    assert 'autosync_check_failing{target="default",cron_job="auto-sync-cron-job",check_id="server_reachable"' in text
    assert secret not in text
    assert first.st_mode & 0o777 == 0o644

    arguments = start.replace("/var/lib/autosync-db/default.prom", str(file)).split()[1:]
    with file.open() as old:
        assert command.run(*arguments, variables={"SUPABASE_DB_URL": secret}).code == 4
        assert old.read() == text, "who reads the old file goes on reading it"
    replaced = file.stat().st_ino
    assert replaced != first.st_ino
    assert command.run(*arguments, variables={"SUPABASE_DB_URL": "not an address"}).code == 2
    assert file.stat().st_ino == replaced, "what failed before it looked leaves the old file, which grows old"
    assert [path.name for path in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("format", ["json", "junit", "nagios", "github"])
def test_a_report_of_any_form_goes_into_a_file(format: str, tmp_path: Path) -> None:
    away = Secret("postgresql://postgres@127.0.0.1:1/postgres")
    shown = command.run("verify", "--format", format, database=away)
    kept = command.run("verify", "--format", format, "-o", str(tmp_path / "report"), database=away)
    assert kept.code == shown.code
    assert kept.out == ""
    assert len((tmp_path / "report").read_text().splitlines()) == len(shown.out.splitlines())


def test_a_table_or_a_file_that_cannot_be_written_is_refused() -> None:
    away = Secret("postgresql://postgres@127.0.0.1:1/postgres")
    assert "a table is for a terminal" in command.refused(command.run("verify", "-o", "x", database=away), 2)
    Path("taken").write_text("")
    refused = command.run("verify", "--format", "junit", "-o", "taken/x", database=away)
    assert "cannot write taken/x" in command.refused(refused, 2)
