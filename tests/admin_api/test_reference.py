"""docs/api.md is made from the API's description, and has every route, shape and example."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from admin_api.reference import reference
from jobs.app import App
from tests.admin_api.route_table import description_of

PAGE = Path(__file__).resolve().parents[2] / "docs" / "api.md"


def test_the_page_is_what_the_command_prints() -> None:
    assert PAGE.read_text() == reference(), "make it again: jobledger api reference > docs/api.md"


@pytest.fixture
def described(app: App) -> dict[str, Any]:
    return description_of(app)


def test_every_route_is_in_it(described: dict[str, Any]) -> None:
    page = PAGE.read_text()

    routes = [f"### `{method.upper()} {path}`" for path, methods in described["paths"].items() for method in methods]
    assert [one for one in routes if one not in page] == []


def test_every_route_describes_itself_and_its_errors(described: dict[str, Any]) -> None:
    for path, methods in described["paths"].items():
        for method, one in methods.items():
            assert one.get("summary"), (method, path)
            if path in ("/healthz", "/readyz", "/metrics", "/v1/callbacks/{token}"):
                continue
            assert {"401", "403", "422", "500", "503"} <= set(one["responses"]), (method, path)
            assert ("304" in one["responses"]) == (method == "get"), (method, path)


def test_every_body_has_an_example(described: dict[str, Any]) -> None:
    shapes = described["components"]["schemas"]
    bodies = {
        one["requestBody"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
        for methods in described["paths"].values()
        for one in methods.values()
        if "requestBody" in one
    }

    bare = [name for name in bodies if set(shapes[name].get("required", ())) - set(shapes[name]["examples"][0])]

    assert bare == []
