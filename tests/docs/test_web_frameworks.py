"""docs/web-frameworks.md: both applications of the page serve."""

from __future__ import annotations

import re
import sys
import types
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

import jobs
from jobs.definition import registry
from tests.conftest import MakeApp

PAGE = Path(__file__).resolve().parents[2] / "docs" / "web-frameworks.md"


def test_both_applications_of_the_page_serve(
    sqlite_url: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs.boot, "_app", make_app(sqlite_url))
    shop = types.ModuleType("shop_of_the_page")
    monkeypatch.setitem(sys.modules, "shop_of_the_page", shop)
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.S):
        # A worker beside the test would need a module in a file.
        exec(compile(block.replace("worker=True", "worker=False"), str(PAGE), "exec"), shop.__dict__)

    with TestClient(shop.app) as client:
        first = client.post("/orders/7").json()
        assert client.get("/jobs/").status_code == 401
        assert client.get(f"/jobs/runs/{first}", headers={"x-user": "ann"}).status_code == 200
    flask = shop.site.test_client()
    second = flask.post("/orders/8").text
    assert flask.get(f"/jobs/runs/{second}", headers={"x-user": "ann"}).status_code == 200
    assert [jobs.find(one).arguments for one in (first, second)] == [{"order": 7}, {"order": 8}]
    registry.forget("Deliver")
