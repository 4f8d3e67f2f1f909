"""``kokino export``: to the standard output, into a file, into a folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kokino.alerts.rulefile import packaged
from kokino.cli import app
from kokino.errors import ConfigInvalid, KokinoError
from kokino.exports.conditions import exported

OBJECTIVE = """
apiVersion: openslo/v1
kind: SLO
metadata: {name: availability}
spec:
  service: headless
  budgetingMethod: Occurrences
  timeWindow: [{duration: 30d, isRolling: true}]
  indicator: {spec: {ratioMetric: {}}}
  objectives: [{target: 0.98}]
"""


def export(*arguments: str, home: Path) -> str:
    """What the command writes; its errors are raised."""
    result = CliRunner().invoke(app, ["export", *arguments, "--home", str(home)], catch_exceptions=False)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout


@pytest.mark.parametrize(
    ("what", "begins"),
    [
        ("prometheus", "# Alert rules of Kokino for Prometheus"),
        ("grafana", "{"),
        ("openslo", "# Objectives of Kokino as OpenSLO v1"),
    ],
)
def test_without_a_place_it_goes_to_the_standard_output(what: str, begins: str, tmp_path: Path) -> None:
    """To be piped; a file gets the same."""
    written = export(what, home=tmp_path)
    assert written.startswith(begins)
    assert export(what, "--out", str(tmp_path / "file"), home=tmp_path) == ""
    assert (tmp_path / "file").read_text(encoding="utf-8") == written


def test_a_folder_gets_each_rule_with_its_tests(tmp_path: Path) -> None:
    """Beside each other, by the rule's name."""
    export("prometheus", "--out", str(tmp_path), home=tmp_path)
    rules = [rule.id for rule in packaged() if exported(rule)]
    expected = {f"{rule}.{kind}.yaml" for rule in rules for kind in ("rules", "test")}
    assert {path.name for path in tmp_path.iterdir()} == expected


def test_what_the_home_promises_is_exported(tmp_path: Path) -> None:
    """98 % in place of the 99.5 % that ship."""
    (tmp_path / "slo").mkdir()
    (tmp_path / "slo" / "availability.yaml").write_text(OBJECTIVE, encoding="utf-8")
    assert "target: 0.98" in export("openslo", home=tmp_path)
    assert "+ 0.98" in export("grafana", home=tmp_path)
    # 14.4 times 2 %.
    assert "bad_ratio_1h >= 0.288" in export("prometheus", home=tmp_path)


def test_the_interval_and_the_address_are_in_the_rules(tmp_path: Path) -> None:
    """As they were given."""
    given = ("--interval", "30s", "--public-url", "https://kokino.example")
    written = export("prometheus", *given, home=tmp_path)
    assert "interval: 30s" in written
    assert "runbook_url: https://kokino.example/playbooks/availability-slo-breach" in written


@pytest.mark.parametrize("interval", ["0s", "5m"])
def test_an_interval_that_cannot_work_is_refused(interval: str, tmp_path: Path) -> None:
    """The message says which can, and why."""
    with pytest.raises(KokinoError, match=f"--interval {interval} must be from 1s to 4m"):
        export("prometheus", "--interval", interval, home=tmp_path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """With what the option takes."""
    with pytest.raises(KokinoError, match="cannot be written: No such file or directory; --out takes"):
        export("openslo", "--out", str(tmp_path / "none" / "file"), home=tmp_path)


def test_faults_of_all_files_of_a_home_are_told(tmp_path: Path) -> None:
    """Of a rule and of an objective at once."""
    for folder, name in (("alerts", "own.yaml"), ("slo", "latency.yaml")):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text("kind: Nothing", encoding="utf-8")
    with pytest.raises(ConfigInvalid) as refused:
        export("prometheus", home=tmp_path)
    assert {Path(fault.file or "").name for fault in refused.value.faults} == {"own.yaml", "latency.yaml"}
