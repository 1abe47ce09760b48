"""A browser, and filled ledgers whose pages it shows."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from jobs import boot
from jobs.app import App
from jobs.definition import registry
from jobs.settings import Settings
from tests.admin_api.pages.chromium import a_browser
from tests.admin_api.pages.filled import Places, fill


@pytest.fixture(scope="module", autouse=True)
def kinds_as_they_were() -> Iterator[None]:
    known = set(registry.kinds())
    yield
    for kind in set(registry.kinds()) - known:
        registry.forget(kind)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with a_browser() as made:
        yield made


@dataclass(frozen=True)
class Full:
    """A filled ledger, and the ids of what it holds."""

    url: str
    places: Places


@pytest.fixture(scope="module")
def full(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Full:
    return made(sqlite_template, tmp_path_factory.mktemp("full"), fill)


def made(template: Path, folder: Path, build: Callable[[App], Places]) -> Full:
    url = f"sqlite:///{shutil.copy(template, folder / 'jobs.db')}"
    app = boot.build(Settings(database_url=url))
    try:
        return Full(url, build(app))
    finally:
        app.close()
