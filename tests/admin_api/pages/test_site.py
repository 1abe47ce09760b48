"""Every page for every role, over an empty ledger and over one with at least one row of every kind."""

from __future__ import annotations

import re

import pytest

from jobs.definition import registry
from tests.admin_api.pages.conftest import Browse
from tests.admin_cli import world

PAGES = ["/", "/runs", "/dead", "/errors", "/queues", "/limits", "/workers", "/schedules"]
KEPT_FROM = {"/audit": ("viewer",), "/users": ("viewer", "operator"), "/kinds": (), "/health": ()}
"""Pages, and the roles that may not see them."""


@pytest.mark.parametrize("path", PAGES)
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_a_page_of_an_empty_ledger_says_what_to_do(browse: Browse, role: str, path: str) -> None:
    answer = browse(role).get(path)

    assert answer.status_code == 200
    assert "<!doctype html>" in answer.text
    assert 'class="empty"' in answer.text


@pytest.mark.parametrize("path", KEPT_FROM)
@pytest.mark.parametrize("role", ["viewer", "operator", "admin"])
def test_a_page_and_its_link_are_shown_to_those_with_the_permission(browse: Browse, role: str, path: str) -> None:
    client = browse(role)
    is_kept = role in KEPT_FROM[path]

    assert client.get(path).status_code == (403 if is_kept else 200)
    assert (f'href="{path}"' in client.get("/runs").text) is not is_kept


def test_a_refresh_returns_the_part_that_changes(browse: Browse) -> None:
    whole, part = browse().get("/runs"), browse().get("/runs", headers={"HX-Request": "true"})

    assert '<nav class="side"' in whole.text
    assert '<nav class="side"' not in part.text
    assert 'id="live"' in part.text
    assert "HX-Request" in part.headers["vary"]


def test_no_page_has_a_script_or_a_style_of_its_own(in_world: None, browse: Browse) -> None:
    client = browse()

    for path in (*PAGES, *KEPT_FROM, f"/runs/{world.DEAD}", "/schedules"):
        text = client.get(path).text
        assert not re.search(r"<script(?![^>]*\bsrc=)[^>]*>|<style|\sstyle=|\son\w+=|javascript:", text), path
        assert set(re.findall(r'(?:src|href)="(https?:[^"]*)"', text)) == set(), path


def test_static_files_are_cached_by_the_browser_and_no_others_are_served(browse: Browse) -> None:
    client = browse(None)
    found = re.findall(r'(?:href|src)="(/static/[^"#]*)', client.get("/sign-in").text)

    assert len(set(found)) >= 4
    for one in found:
        answer = client.get(one)
        assert (answer.status_code, "immutable" in answer.headers["cache-control"]) == (200, True)
        assert answer.headers["x-content-type-options"] == "nosniff"
    for path in ("/static/../app.py", "/static/%2e%2e/app.py", "/static/", "/static/..%2f..%2fpyproject.toml"):
        assert client.get(path).status_code == 404


def test_an_unknown_address_is_a_page_for_browsers_and_an_envelope_for_programs(browse: Browse) -> None:
    client = browse()

    page, envelope = client.get("/nothing"), client.get("/nothing", headers={"Accept": "*/*"})

    assert (page.status_code, "There is no such page." in page.text) == (404, True)
    assert envelope.json()["error"]["code"] == "not_found"
    assert client.get("/v1/nothing").json()["error"]["code"] == "not_found"


def test_a_query_that_cannot_be_parsed_is_marked_at_its_mistake(in_world: None, browse: Browse) -> None:
    answer = browse().get("/runs", params={"where": "kind:A stat:dead"})

    assert answer.status_code == 422
    assert "Column 8" in answer.text
    assert "kind:A stat:dead\n       ^</pre>" in answer.text
    assert "state" in answer.text


@pytest.fixture(autouse=True)
def forget_kinds():  # type: ignore[no-untyped-def]
    known = set(registry.kinds())
    yield
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)
