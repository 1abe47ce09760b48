"""The examples for autoscalers fit what KEDA and Kubernetes accept, and name what we serve."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jsonschema
import pytest
import yaml

from admin_api.shapes.scale import Scale
from jobs.app import App
from jobs.database.sql import dialect_of
from jobs.observe.catalogue import LEDGER
from tests.conftest import MakeApp

DEPLOY = Path(__file__).parents[2] / "deploy"
SCHEMAS = yaml.safe_load((Path(__file__).parent / "autoscaler_schemas.yaml").read_text())
EXAMPLES = [*sorted(DEPLOY.glob("keda/*.yaml")), DEPLOY / "kubernetes" / "hpa.yaml"]


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text()))


def check(document: dict[str, Any]) -> None:
    jsonschema.validate(document, SCHEMAS[document["kind"]])


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_each_example_fits_the_schema_of_its_kind(path: Path) -> None:
    for document in documents(path):
        check(document)


def test_a_mistake_in_an_example_would_be_noticed() -> None:
    (good,) = documents(DEPLOY / "keda" / "worker.yaml")
    for change in (
        lambda one: one["spec"].pop("scaleTargetRef"),
        lambda one: one["spec"].update(minReplicas=1),
        lambda one: one["spec"]["triggers"][0]["metadata"].update(targetQueryValue=1),
        lambda one: one["spec"]["triggers"][0]["metadata"].update(valueLocation="data"),
        lambda one: one["spec"]["triggers"][0].update(type="postgres"),
    ):
        bad = copy.deepcopy(good)
        change(bad)
        with pytest.raises(jsonschema.ValidationError):
            check(bad)


def test_what_the_examples_read_is_what_we_serve(sqlite_url: str, make_app: MakeApp) -> None:
    *_, scaled = documents(DEPLOY / "keda" / "scale-api.yaml")
    asked = scaled["spec"]["triggers"][0]["metadata"]
    url = urlsplit(asked["url"])
    (hpa,) = documents(DEPLOY / "kubernetes" / "hpa.yaml")
    metric = hpa["spec"]["metrics"][0]["external"]["metric"]
    (by_sql,) = documents(DEPLOY / "keda" / "worker.yaml")
    app: App = make_app(sqlite_url)

    api = documents(DEPLOY / "kubernetes" / "api.yaml")
    (service,) = (one for one in api if one["kind"] == "Service")
    assert url.hostname is not None
    assert url.hostname in (DEPLOY / "kubernetes" / "api.yaml").read_text(), "else the API answers 421"
    assert (url.hostname.partition(".")[0], url.port or 80) == (
        service["metadata"]["name"], service["spec"]["ports"][0]["port"],
    )  # fmt: skip
    assert (url.path, parse_qs(url.query)) == ("/v1/scale", {"queue": ["default"]})
    assert asked["valueLocation"].removeprefix("data.") in Scale.model_fields
    assert {one.name: one.labels for one in LEDGER}[metric["name"]] == tuple(metric["selector"]["matchLabels"])
    with app.database.read() as connection:
        assert dialect_of(connection) == "sqlite"
        assert connection.exec_driver_sql(by_sql["spec"]["triggers"][0]["metadata"]["query"]).scalar() == 0
