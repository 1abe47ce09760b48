"""What is shipped with the release is checked with it: alerts, dashboard, examples."""

from __future__ import annotations

import configparser
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml

from jobs.observe.catalogue import ALL, BUCKETS
from jobs.observe.counts import Counts
from jobs.observe.exposition import CountsFolder
from jobs.settings import PREFIX, SECRETS, Settings
from worker.supervisor.plan import WorkerPlan

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
EXPORTED = {name for metric in ALL for name in metric.samples}
NAME = re.compile(r"\bjobs_[a-z_]+")
VARIABLES = {f"{PREFIX}{name.upper()}" for name in Settings.model_fields}
VARIABLES |= {f"{PREFIX}{name.upper()}_FILE" for name in SECRETS}


@pytest.fixture(scope="session")
def promtool(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Prometheus' own checker: installed, or unpacked from Debian's package."""
    found = shutil.which("promtool")
    if found:
        return found
    folder = tmp_path_factory.mktemp("prometheus")
    try:
        subprocess.run(["apt-get", "download", "prometheus"], cwd=folder, check=True, capture_output=True, timeout=90)
        (package,) = folder.glob("*.deb")
        subprocess.run(["dpkg", "-x", str(package), "."], cwd=folder, check=True, capture_output=True, timeout=60)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        pytest.skip(f"promtool is not installed and Debian's package of it cannot be had: {type(error).__name__}")
    return str(folder / "usr/bin/promtool")


def test_the_alerts_fire_and_stay_quiet_as_their_tests_say(promtool: str) -> None:
    folder = DEPLOY / "prometheus"

    checked = subprocess.run([promtool, "check", "rules", "alerts.yml"], cwd=folder, capture_output=True, text=True)
    tested = subprocess.run([promtool, "test", "rules", "alerts.test.yml"], cwd=folder, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stderr
    assert tested.returncode == 0, tested.stdout + tested.stderr


def test_an_alert_that_never_fires_would_be_noticed(promtool: str, tmp_path: Path) -> None:
    text = (DEPLOY / "prometheus/alerts.yml").read_text()
    (tmp_path / "alerts.yml").write_text(re.sub(r"(alert: \w+)\n", r"\1Never\n", text))
    shutil.copy(DEPLOY / "prometheus/alerts.test.yml", tmp_path)

    tested = subprocess.run(
        [promtool, "test", "rules", "alerts.test.yml"], cwd=tmp_path, capture_output=True, text=True
    )

    assert tested.returncode != 0
    checks = re.split(r"^\s*alertname: ", tested.stdout + tested.stderr, flags=re.M)[1:]
    missed = {check.partition(",")[0] for check in checks if "Labels:" in check and "got:[]" in check}
    assert missed == {rule["alert"] for rule in _alerts()}


def test_every_alert_is_tested_to_fire_and_to_stay_quiet() -> None:
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts.test.yml").read_text())["tests"]
    cases = [case for one in tests for case in one["alert_rule_test"]]

    for rule in _alerts():
        expected = [bool(case["exp_alerts"]) for case in cases if case["alertname"] == rule["alert"]]
        assert set(expected) == {True, False}, rule["alert"]


def test_promtool_accepts_our_metrics(promtool: str) -> None:
    folder = CountsFolder()
    try:
        counts = Counts(folder.path, buckets=BUCKETS)
        for metric in ALL:
            if metric.type == "counter":
                counts.add(metric, ("x",) * len(metric.labels))
            elif metric.type == "histogram":
                counts.observe(metric, ("x",) * len(metric.labels), [0.5])
        page = folder.page()
    finally:
        folder.close()

    checked = subprocess.run([promtool, "check", "metrics"], input=page, capture_output=True)

    assert checked.returncode == 0, checked.stderr.decode()
    assert checked.stderr == b""


def test_alerts_and_dashboard_name_only_what_we_export() -> None:
    exprs = [rule["expr"] for rule in _alerts()] + _queries()

    named = {name for expr in exprs for name in NAME.findall(expr)}

    assert len(exprs) > 30
    assert named - EXPORTED == set()


def test_what_we_export_is_shown_somewhere() -> None:
    named = {name for expr in [rule["expr"] for rule in _alerts()] + _queries() for name in NAME.findall(expr)}

    unseen = {metric.name for metric in ALL if not named & set(metric.samples)}

    assert unseen == set()


def test_labels_in_queries_are_labels_we_have() -> None:
    labels = {label for metric in ALL for label in metric.labels} | {"le"}
    for expr in [rule["expr"] for rule in _alerts()] + _queries():
        for inside in re.findall(r"\{([^}]*)\}", expr):
            assert set(re.findall(r"(\w+)\s*=", inside)) <= labels, expr
        for by in re.findall(r"\bby \(([^)]*)\)", expr):
            assert {one.strip() for one in by.split(",")} <= labels, expr


def test_every_expression_is_promql() -> None:
    """By a parser that comes with the tests: what promtool says too, where it can be had."""
    queries = [re.sub(r"\$__\w+|\$\w+", lambda m: "5m" if m[0].startswith("$__") else ".*", one) for one in _queries()]

    for expr in [rule["expr"] for rule in _alerts()] + queries:
        assert promql_parser.parse(expr) is not None

    with pytest.raises(ValueError, match="parenthesis"):
        promql_parser.parse("sum(jobs_dead_letters")


def test_the_dashboards_queries_parse(promtool: str, tmp_path: Path) -> None:
    queries = [re.sub(r"\$__\w+|\$\w+", lambda m: "5m" if m[0].startswith("$__") else ".*", one) for one in _queries()]
    rules = [{"record": f"test:query{n}", "expr": expr} for n, expr in enumerate(queries)]
    (tmp_path / "queries.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))

    checked = subprocess.run([promtool, "check", "rules", "queries.yml"], cwd=tmp_path, capture_output=True, text=True)

    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_dashboard_has_what_grafana_needs_to_load_it() -> None:
    board = _dashboard()
    ids = [panel["id"] for panel in board["panels"]]

    assert board["uid"] == "jobledger"
    assert board["schemaVersion"] >= 36
    assert len(ids) == len(set(ids))
    for panel in board["panels"]:
        assert panel["type"] in {"row", "timeseries", "stat", "table"}
        assert panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24
        assert panel["type"] == "row" or panel["targets"]
        refs = [target["refId"] for target in panel.get("targets", ())]
        assert len(refs) == len(set(refs))
    assert {one["name"] for one in board["templating"]["list"]} == {"queue", "kind"}


@pytest.mark.parametrize("path", sorted(DEPLOY.rglob("*.y*ml")), ids=lambda path: path.name)
def test_examples_are_whole_and_name_settings_that_exist(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text()))

    assert all(documents)
    assert set(re.findall(r"\bJOBS_[A-Z_]+", path.read_text())) <= VARIABLES


def test_shutdown_limits_leave_room_for_the_worker_to_end_by_itself() -> None:
    (compose,) = yaml.safe_load_all((DEPLOY / "compose.yaml").read_text())
    workers = list(yaml.safe_load_all((DEPLOY / "kubernetes/jobs.yaml").read_text()))
    pod = next(one for one in workers if one["metadata"]["name"] == "jobs-worker")["spec"]["template"]["spec"]
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / "systemd/jobs-worker.service")
    needed = 60 + WorkerPlan().kill_after

    assert int(compose["services"]["worker"]["stop_grace_period"].removesuffix("s")) > needed
    assert compose["services"]["worker"]["environment"]["JOBS_SHUTDOWN"] == "60s"
    assert pod["terminationGracePeriodSeconds"] > needed
    assert {"name": "JOBS_SHUTDOWN", "value": "60s"} in pod["containers"][0]["env"]
    assert int(unit["Service"]["TimeoutStopSec"]) > needed
    assert "JOBS_SHUTDOWN=60s" in (DEPLOY / "systemd/jobs-worker.service").read_text()
    assert unit["Service"]["KillMode"] == "mixed"


def test_liveness_never_asks_the_database() -> None:
    for document in yaml.safe_load_all((DEPLOY / "kubernetes/jobs.yaml").read_text()):
        for container in document["spec"]["template"]["spec"]["containers"]:
            if "livenessProbe" in container:
                assert container["livenessProbe"]["httpGet"]["path"] == "/healthz"


def _alerts() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/alerts.yml").read_text())["groups"][0]["rules"]
    return found


def _dashboard() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((DEPLOY / "grafana/jobs.json").read_text())
    return found


def _queries() -> list[str]:
    board = _dashboard()
    queries = [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]
    variables = [one["query"] for one in board["templating"]["list"]]
    assert len(variables) == 2
    return queries
